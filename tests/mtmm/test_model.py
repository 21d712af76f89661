from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import mtmm
from mtmm import encoders
from mtmm.encoders.base import Encoder, Plain
from mtmm.encoders.lenet import LeNet
from mtmm.fusion import FUSIONS
from mtmm.heads import HEADS
from mtmm.heads.base import Head
from mtmm.heads.judging import objectives
from mtmm.model import MODELS, PathModel, build_model, part_names, resolve_model
from mtmm.settings import ConfigError, Problem, dotted
from mtmm.sharing import SHARINGS
from mtmm.sharing.base import MakePath, Sharing
from mtmm.spec import Batch, DataBundle, Description, Features, Modality, ModelOutput, Task

ENCODERS = {"image": {"name": "lenet", "channels": 2}, "text": {"name": "lstm", "embedding": 3}}
TWO_MODALITIES = [name for name, f in FUSIONS.items() if f.max_modalities != 1]
every_wiring = pytest.mark.parametrize(
    ("sharing", "fusion"), list(itertools.product(SHARINGS, TWO_MODALITIES))
)


def _config(**settings: object) -> dict[str, Any]:
    return {"encoders": ENCODERS, "width": 6, **settings}


def _problems(config: Mapping[str, Any], description: Description) -> list[Problem]:
    problems: list[Problem] = []
    resolve_model(config, description, ("model",), problems)
    return problems


def _messages(config: Mapping[str, Any], description: Description) -> list[tuple[str, str]]:
    return [(dotted(p.path), p.message) for p in _problems(config, description)]


def _losses(model: nn.Module, batch: Batch, description: Description) -> list[Tensor]:
    outputs = model(batch.inputs, batch.present).outputs
    judges = objectives(description.tasks)
    return [
        judges[name].loss(outputs[name], batch.targets[name], batch.labelled[name])
        for name in outputs
    ]


def _gradients(model: nn.Module, batch: Batch, description: Description) -> list[Tensor]:
    losses = _losses(model, batch, description)
    return list(torch.autograd.grad(torch.stack(losses).sum(), list(model.parameters())))


def test_the_library_offers_build_model() -> None:
    assert mtmm.build_model is build_model
    with pytest.raises(AttributeError, match="no attribute 'build_modle'"):
        mtmm.build_modle  # noqa: B018


@every_wiring
def test_outputs_have_a_logit_a_class(
    sharing: str, fusion: str, description: Description, batch: Batch
) -> None:
    model = build_model(_config(sharing=sharing, fusion=fusion), description)
    for size in (8, 1):
        part = batch.take(torch.arange(size))
        output = model(part.inputs, part.present)
        assert list(output.outputs) == list(output.features) == ["left", "right"]
        assert output.outputs["left"].shape == (size, 3)
        assert output.outputs["right"].shape == (size, 4)
        assert output.features["left"].vector.shape == (size, 6)
        assert output.auxiliary == {}


@every_wiring
def test_every_parameter_gets_a_gradient(
    sharing: str, fusion: str, description: Description, batch: Batch
) -> None:
    model = build_model(_config(sharing=sharing, fusion=fusion), description)
    gradients = _gradients(model, batch, description)
    for (name, _), gradient in zip(model.named_parameters(), gradients, strict=True):
        assert (gradient != 0).any(), name


@every_wiring
def test_what_absent_inputs_hold_never_matters(
    sharing: str, fusion: str, description: Description, batch: Batch
) -> None:
    model = build_model(_config(sharing=sharing, fusion=fusion), description)
    image, text = batch.inputs["image"], batch.inputs["text"]
    there = batch.present
    garbage = Batch(
        inputs={
            "image": torch.where(there["image"][:, None, None, None], image, math.nan),
            "text": torch.where(there["text"][:, None], text, 10_000),
        },
        targets=batch.targets,
        present=there,
        labelled=batch.labelled,
    )
    for clean, dirty in zip(
        _losses(model, batch, description), _losses(model, garbage, description), strict=True
    ):
        assert clean.isfinite()
        assert torch.equal(clean, dirty)
    clean_gradients = _gradients(model, batch, description)
    dirty_gradients = _gradients(model, garbage, description)
    assert all(map(torch.equal, clean_gradients, dirty_gradients))


@pytest.mark.parametrize("sharing", SHARINGS)
def test_samples_without_a_label_contribute_nothing(
    sharing: str, description: Description, batch: Batch
) -> None:
    model = build_model(_config(sharing=sharing), description)
    losses = _losses(model, batch, description)
    for task, loss in zip(description.tasks, losses, strict=True):
        kept = batch.take(batch.labelled[task.name].nonzero()[:, 0])
        assert len(kept) < len(batch)
        output = model(kept.inputs, kept.present).outputs[task.name]
        everyone = torch.ones(len(kept), dtype=torch.bool)
        dropped = objectives([task])[task.name].loss(output, kept.targets[task.name], everyone)
        torch.testing.assert_close(loss, dropped)
        parameters = list(model.parameters())
        torch.testing.assert_close(
            torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True),
            torch.autograd.grad(dropped, parameters, materialize_grads=True),
        )


@pytest.mark.parametrize("fusion", TWO_MODALITIES)
@pytest.mark.parametrize("alone", SHARINGS)
def test_a_path_of_separate_starts_as_the_task_alone(
    fusion: str, alone: str, description: Description, batch: Batch
) -> None:
    together = build_model(_config(sharing="separate", fusion=fusion), description, seed=3)
    outputs = together(batch.inputs, batch.present).outputs
    names = [m.name for m in description.modalities]
    for task in description.tasks:
        own = description.select(names, [task.name])
        model = build_model(_config(sharing=alone, fusion=fusion), own, seed=3)
        theirs = [p for p in model.parameters() if p.requires_grad]
        loss = outputs[task.name].square().sum()
        gradients = torch.autograd.grad(
            loss, list(together.parameters()), allow_unused=True, retain_graph=True
        )
        used = zip(together.parameters(), gradients, strict=True)
        mine = [parameter for parameter, gradient in used if gradient is not None]
        assert len(mine) == len(theirs)
        assert all(map(torch.equal, mine, theirs))
        assert torch.equal(
            model(batch.inputs, batch.present).outputs[task.name], outputs[task.name]
        )


@every_wiring
def test_the_seed_decides_the_weights(sharing: str, fusion: str, description: Description) -> None:
    config = _config(sharing=sharing, fusion=fusion)
    first = build_model(config, description, seed=1).state_dict()
    torch.rand(1)  # the state outside must not count
    again = build_model(config, description, seed=1).state_dict()
    other = build_model(config, description, seed=2).state_dict()
    assert first.keys() == again.keys() == other.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)
    same = [name for name in first if torch.equal(first[name], other[name])]
    # Biases of fusions start at 0 whatever the seed.
    assert all(name.endswith("bias") and (first[name] == 0).all() for name in same)


def test_building_leaves_the_generator_alone(description: Description) -> None:
    state = torch.random.get_rng_state()
    build_model(_config(), description)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_fusion_does_not_shift_the_other_parts(description: Description) -> None:
    first, second = (
        build_model(_config(fusion=fusion), description).state_dict()
        for fusion in ("concat", "sum")
    )
    common = first.keys() & second.keys()
    assert any("encoders" in name for name in common)
    assert any(name.startswith("heads") for name in common)
    assert all(torch.equal(first[name], second[name]) for name in common)


def test_a_bundle_describes_itself(bundle: DataBundle) -> None:
    model = build_model(_config(), bundle)
    part = bundle.train.take(torch.arange(4))
    outputs = model(part.inputs, part.present).outputs
    assert {task.name: task.classes for task in bundle.tasks} == {
        name: output.shape[1] for name, output in outputs.items()
    }


def test_defaults_are_filled_in(description: Description) -> None:
    problems: list[Problem] = []
    encoders = {"image": "lenet", "text": {"name": "lstm", "layers": 2}}
    resolved = resolve_model({"encoders": encoders}, description, (), problems)
    assert problems == []
    assert resolved == {
        "encoders": {
            "image": {"name": "lenet", "channels": 16},
            "text": {"name": "lstm", "embedding": 64, "hidden": None, "layers": 2},
        },
        "fusion": {"name": "concat"},
        "sharing": {"name": "hard"},
        "width": 64,
    }
    again = resolve_model(resolved, description, (), problems)
    assert again == resolved


@pytest.mark.parametrize("fusion", FUSIONS)
def test_one_modality_has_nothing_to_fuse(fusion: str, description: Description) -> None:
    single = description.select(["text"], ["left"])
    problems: list[Problem] = []
    resolved = resolve_model(_config(fusion=fusion), single, (), problems)
    assert problems == []
    assert resolved["fusion"] == {"name": "none"}
    assert list(resolved["encoders"]) == ["text"]
    build_model(_config(fusion=fusion), single)


def test_all_mistakes_are_told_at_once(description: Description) -> None:
    encoders = {"image": {"name": "lenet", "channel": 2}}
    config = {"encoders": encoders, "fuson": "sum", "sharing": "hart", "width": 0}
    assert _messages(config, description) == [
        (
            "model.fuson",
            "unknown key 'fuson' of model; did you mean 'fusion'?"
            " (it has: encoders, fusion, sharing, width)",
        ),
        (
            "model.encoders.image.channel",
            "unknown setting 'channel' of encoder 'lenet'; did you mean 'channels'?"
            " (it has: channels)",
        ),
        ("model.encoders", "no encoder for modality 'text' (choose from: lstm)"),
        (
            "model.sharing",
            "unknown sharing 'hart'; did you mean 'hard'? (there are: hard, separate)",
        ),
        (
            "model.width",
            "`width` of model must be a whole number at least 1 and at most 65536;"
            " found the whole number 0",
        ),
    ]


def test_an_encoder_must_read_the_modality(description: Description) -> None:
    swapped = {"image": "lstm", "text": ENCODERS["text"]}
    assert _messages(_config(encoders=swapped), description) == [
        (
            "model.encoders.image",
            "encoder 'lstm' does not read image (those that do: article_cnn, lenet, resnet18)",
        )
    ]


def test_encoders_must_be_a_mapping(description: Description) -> None:
    assert _messages(_config(encoders="lenet"), description) == [
        ("model.encoders", "must map modalities to encoders; found the word 'lenet'")
    ]


def _three(description: Description) -> tuple[Description, dict[str, Any]]:
    third = Modality(name="sign", kind="image", shape=(1, 8, 8))
    three = Description(
        modalities=(*description.modalities, third), tasks=description.tasks, fingerprint="none"
    )
    return three, {**ENCODERS, "sign": "lenet"}


def test_too_many_modalities_are_a_combination_without_meaning(description: Description) -> None:
    three, encoders = _three(description)
    (problem,) = _problems(_config(encoders=encoders, fusion="gated"), three)
    assert problem.combination
    assert problem.path == ("model", "fusion")
    text = "fusion 'gated': fuses at most 2 modalities; found 3: image, text, sign"
    assert problem.message == text
    assert _problems(_config(encoders=encoders, fusion="concat"), three) == []


def test_two_modalities_need_a_fusion(description: Description) -> None:
    (problem,) = _problems(_config(fusion="none"), description)
    assert problem.combination


def test_a_gate_that_is_no_modality(description: Description) -> None:
    (problem,) = _problems(_config(fusion={"name": "gated", "gate": "sound"}), description)
    text = "fusion 'gated': `gate` must be one of image, text; found 'sound'"
    assert problem.message == text


def test_ordinary_mistakes_are_no_combinations(description: Description) -> None:
    three, _ = _three(description)
    problems = _problems(_config(fusion="gated", width="x"), three)
    assert problems
    assert not any(problem.combination for problem in problems)


def test_building_raises_what_is_wrong(description: Description) -> None:
    with pytest.raises(ConfigError, match=r"^fusion: unknown fusion 'summ'; did you mean 'sum'"):
        build_model(_config(fusion="summ"), description)


def _leaves(names: tuple[str, ...]) -> list[str]:
    return [name for name in names if not any(other.startswith(f"{name}.") for other in names)]


@every_wiring
def test_parts_are_those_of_the_names_and_hold_every_parameter_once(
    sharing: str, fusion: str, description: Description
) -> None:
    model = build_model(_config(sharing=sharing, fusion=fusion), description)
    assert isinstance(model, PathModel)
    parts = model.parts()
    assert list(parts) == _leaves(part_names(description))
    held = [id(parameter) for part in parts.values() for parameter in part.parameters()]
    assert sorted(held) == sorted(id(parameter) for parameter in model.parameters())


def test_part_names_by_hand(description: Description) -> None:
    assert part_names(description.select(["image", "text"], ["right"])) == (
        "encoders",
        "encoders.image",
        "encoders.text",
        "fusion",
        "sharing",
        "heads",
        "heads.right",
    )


def test_a_part_is_that_of_all_paths(description: Description) -> None:
    for sharing, times in (("hard", 1), ("separate", 2)):
        model = build_model(_config(sharing=sharing), description)
        assert isinstance(model, PathModel)
        parts = {name: list(part.modules()) for name, part in model.parts().items()}
        assert sum(isinstance(m, LeNet) for m in parts["encoders.image"]) == times
        assert sum(isinstance(m, nn.LSTM) for m in parts["encoders.text"]) == times
        assert not any(isinstance(m, LeNet) for m in parts["encoders.text"])
        assert sum(isinstance(m, FUSIONS["concat"]) for m in parts["fusion"]) == times


class Gated(Sharing):
    """Two paths in a container with a gate, and a scale that belongs to no submodule."""

    def __init__(self, make_path: MakePath, tasks: Sequence[str]) -> None:
        super().__init__(make_path, tasks)
        self.scale = nn.Parameter(torch.ones(2))
        self.bank = nn.ModuleDict({"paths": nn.ModuleList([make_path(tasks), make_path(tasks)])})
        self.bank["gate"] = nn.Linear(3, 2)


def test_what_a_sharing_has_beside_its_paths_is_a_part(description: Description) -> None:
    built = build_model(_config(), description)
    assert isinstance(built, PathModel)
    assert list(built.parts()["sharing"].parameters()) == []
    paths = (build_model(_config(), description, seed=seed) for seed in (0, 1))
    made = iter([path.sharing.path for path in paths])  # type: ignore[union-attr]
    heads = {task.name: nn.Linear(6, 2) for task in description.tasks}
    model = PathModel(Gated(lambda users: next(made), ["left", "right"]), heads)  # type: ignore[arg-type, return-value]
    parts = model.parts()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert [names[id(p)] for p in parts["sharing"].parameters()] == [
        "sharing.scale",
        "sharing.bank.gate.weight",
        "sharing.bank.gate.bias",
    ]
    held = [id(parameter) for part in parts.values() for parameter in part.parameters()]
    assert sorted(held) == sorted(names)


class Linear(nn.Module):
    """A whole model: the mean pixel to every logit."""

    def __init__(self, bundle: DataBundle, *, bias: bool = True, width: int = 1) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(
            {task.name: nn.Linear(width, task.classes, bias=bias) for task in bundle.tasks}
        )

    def forward(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> ModelOutput:
        mean = inputs["image"].flatten(1).mean(dim=1, keepdim=True)
        return ModelOutput(outputs={name: layer(mean) for name, layer in self.layers.items()})


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "mine", Linear)


@pytest.mark.usefixtures("whole")
def test_a_whole_model_is_built_from_data_settings_and_seed(bundle: DataBundle) -> None:
    first, again, other = (
        build_model({"name": "mine", "bias": False}, bundle, seed=seed) for seed in (1, 1, 2)
    )
    assert isinstance(first, Linear)
    assert [name for name, _ in first.named_parameters()] == [
        "layers.script.weight",
        "layers.slant.weight",
    ]
    for one, two, three in zip(
        first.parameters(), again.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(one, two)
        assert not torch.equal(one, three)


@pytest.mark.usefixtures("whole")
def test_a_whole_model_resolves_to_its_settings(description: Description) -> None:
    problems: list[Problem] = []
    resolved = resolve_model({"name": "mine", "width": 2}, description, (), problems)
    assert problems == []
    assert resolved == {"name": "mine", "bias": True, "width": 2}


@pytest.mark.usefixtures("whole")
def test_a_whole_model_has_no_parts(description: Description) -> None:
    config = {"name": "mine", "fusion": "concat", "encoders": {}, "width": 2, "bios": 3}
    text = "is for models put together from parts; model 'mine' is whole"
    assert _messages(config, description) == [
        ("model.encoders", f"'encoders' {text}"),
        ("model.fusion", f"'fusion' {text}"),
        (
            "model.bios",
            "unknown setting 'bios' of model 'mine'; did you mean 'bias'? (it has: bias, width)",
        ),
    ]
    ((_, message),) = _messages({"name": "min", "fusion": "concat"}, description)
    assert message.startswith("unknown model 'min'; did you mean 'mine'? (there are: mine)")


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("config", [_config(), {"name": "mine"}])
def test_every_task_needs_a_head(config: dict[str, Any], description: Description) -> None:
    counted = replace(description, tasks=(*description.tasks, Task(name="dots", kind="count")))
    assert _messages(config, counted) == [
        ("model", "no head for task 'dots' of kind 'count' (there are: classification)")
    ]


def test_encoders_and_heads_of_kinds_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    class Spectrum(Encoder):
        kinds = frozenset({"spectrum"})

        def __init__(self, modality: Modality, width: int) -> None:
            super().__init__({"all": Plain(nn.Linear(modality.shape[0], width), (width,))})

    class Level(Head):
        def __init__(self, dim: int, task: Task) -> None:
            super().__init__()
            self.linear = nn.Linear(dim, 1)

        def forward(self, features: Features) -> Tensor:
            level: Tensor = self.linear(features.vector)
            return level

    monkeypatch.setitem(encoders.ENCODERS, "spectrum", Spectrum)
    monkeypatch.setitem(HEADS, "level", Level)
    own = Description(
        modalities=(Modality(name="sun", kind="spectrum", shape=(5,)),),
        tasks=(Task(name="light", kind="level"),),
        fingerprint="none",
    )
    model = build_model({"encoders": {"sun": "spectrum"}, "width": 4}, own)
    output = model({"sun": torch.randn(3, 5)}, {"sun": torch.ones(3, dtype=torch.bool)})
    assert output.outputs["light"].shape == (3, 1)
