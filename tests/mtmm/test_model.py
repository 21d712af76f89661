from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import mtmm
from mtmm.configuration import resolve_model
from mtmm.fusion import FUSIONS
from mtmm.heads.judging import objectives
from mtmm.model import build_model
from mtmm.settings import ConfigError, Problem, dotted
from mtmm.sharing import SHARINGS
from mtmm.spec import Batch, DataBundle, Description, Modality

ENCODERS = {"image": {"name": "lenet", "channels": 2}, "text": {"name": "lstm", "embedding": 3}}
TWO_MODALITIES = [name for name, f in FUSIONS.items() if f.max_modalities != 1]
every_wiring = pytest.mark.parametrize(
    ("sharing", "fusion"), list(itertools.product(SHARINGS, TWO_MODALITIES))
)


def _config(**settings: object) -> dict[str, Any]:
    return {"encoders": ENCODERS, "width": 8, **settings}


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
        # Where decisions are fused, heads read both modalities side by side.
        wide = 16 if FUSIONS[fusion].level == "decision" else 8
        assert output.features["left"].vector.shape == (size, wide)
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
@pytest.mark.parametrize("alone", ["hard", "separate"])
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
    # Some start at one number whatever the seed: biases at 0, an attention at equal weights; and
    # what mixes tasks starts from its settings.
    drawn = [name for name in same if "mixer" not in name]
    assert all((first[name] == first[name].flatten()[0]).all() for name in drawn)
    assert len(same) < len(first)


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
        "heads": {task: {"name": "classification"} for task in ("left", "right")},
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
            " (it has: encoders, fusion, heads, sharing, width)",
        ),
        (
            "model.encoders.image.channel",
            "unknown setting 'channel' of encoder 'lenet'; did you mean 'channels'?"
            " (it has: channels)",
        ),
        (
            "model.encoders",
            "no encoder for modality 'text' (choose from: bag, gru, lstm, transformer)",
        ),
        (
            "model.sharing",
            "unknown sharing 'hart'; did you mean 'hard'? "
            f"(there are: {', '.join(sorted(SHARINGS))})",
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
            "encoder 'lstm' does not read image "
            "(those that do: article_cnn, lenet, multi_lenet, resnet18, timm, torchvision, "
            "vit_small)",
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
