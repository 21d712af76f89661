from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mtmm import encoders
from mtmm.configuration import MODELS, resolve_model
from mtmm.encoders.base import Encoder, Plain
from mtmm.encoders.lenet import LeNet
from mtmm.fusion import FUSIONS
from mtmm.heads import HEADS
from mtmm.heads.base import Head
from mtmm.heads.classification import ClassificationHead
from mtmm.heads.multi_lenet import MultiLeNetHead
from mtmm.model import PathModel, build_model, part_names
from mtmm.settings import Problem, dotted
from mtmm.sharing import SHARINGS
from mtmm.sharing.base import MakePath, Sharing
from mtmm.spec import DataBundle, Description, Features, Modality, ModelOutput, Task

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
        assert sum(isinstance(m, nn.Conv2d) for m in parts["encoders.image"]) == 2 * times
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
    heads = {task.name: nn.Linear(8, 2) for task in description.tasks}
    model = PathModel(Gated(lambda users: next(made), ["left", "right"]), heads)  # type: ignore[arg-type]
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
        (
            "model",
            f"no head for task 'dots' of kind 'count' (there are: {', '.join(HEADS)})",
        )
    ]


def test_a_head_is_chosen_task_by_task(description: Description) -> None:
    model = build_model(_config(heads={"left": {"name": "multi_lenet"}}), description)
    assert isinstance(model, PathModel)
    left, right = (model.parts()[f"heads.{task}"] for task in ("left", "right"))
    assert isinstance(left, MultiLeNetHead)
    assert isinstance(right, ClassificationHead)


def test_heads_that_do_not_fit(description: Description, monkeypatch: pytest.MonkeyPatch) -> None:
    class Level(ClassificationHead):
        kinds = frozenset({"level"})

    monkeypatch.setitem(HEADS, "level", Level)
    assert _messages(_config(heads={"left": "level", "right": "lenet"}), description) == [
        (
            "model.heads.left",
            "head 'level' does not serve tasks of kind 'classification' "
            "(those that do: classification, multi_lenet)",
        ),
        (
            "model.heads.right",
            f"unknown head 'lenet'; did you mean 'multi_lenet'? (there are: {', '.join(HEADS)})",
        ),
    ]
    assert _messages(_config(heads="multi_lenet"), description) == [
        ("model.heads", "must map tasks to heads; found the word 'multi_lenet'")
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
