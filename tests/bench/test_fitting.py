"""Whether the parts of a variant fit each other."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from bench.fitting import check_class_weights, check_training
from mtmm.heads import HEADS
from mtmm.heads.base import Head, Objective
from mtmm.model import build_model
from mtmm.settings import Problem, dotted
from mtmm.sharing import SHARINGS
from mtmm.spec import Description, Modality, Task

SLANT = Task(name="slant", kind="classification", classes=2)
SIZE = Task(name="size", kind="regression")
TAGS = Task(name="tags", kind="unweighted", classes=4)
IMAGE = Modality(name="image", kind="image", shape=(1, 28, 28))
WHOLE = Description(modalities=(IMAGE,), tasks=(SLANT, SIZE, TAGS), fingerprint="")
TRAIN: dict[str, Any] = {
    "epochs": 2,
    "warmup": 0.0,
    "class_weights": None,
    "freeze": None,
    "optimizer": {"name": "sgd", "momentum": 0.9, "nesterov": False},
}


@pytest.fixture(autouse=True)
def unweighted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind of task with classes and a loss that weighs none."""

    class Unweighted(Head):
        objective = Objective

    monkeypatch.setitem(HEADS, "unweighted", Unweighted)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"slant": [0.0, 1.0], "other": [0.0]}, None),
        ("balanced", None),
        (None, None),
        ({"slant": [0.0, 0.0]}, "slant: needs at least one weight above 0; all are 0"),
        ({"slant": []}, "slant: needs one weight for each of the 2 classes; found 0"),
        ({"size": "balanced"}, "size: must name tasks with classes; 'size' is of kind"),
        ({"size": []}, "size: must name tasks with classes; 'size' is of kind"),
        ({"tags": [1.0] * 4}, "tags: must name tasks with classes; 'tags' is of kind 'unweighted'"),
    ],
)
def test_class_weights_are_those_of_tasks_with_classes(given: Any, told: str | None) -> None:
    problems: list[Problem] = []
    check_class_weights(given, WHOLE, problems)
    lines = [f"{dotted(problem.path)}: {problem.message}" for problem in problems]
    assert len(lines) == (told is not None)
    assert all(line.startswith(f"train.class_weights.{told}") for line in lines)
    assert not any(problem.combination for problem in problems)


def wrong(sharing: str = "hard", whole: Description = WHOLE, **train: Any) -> list[str]:
    problems: list[Problem] = []
    config = {"model": {"sharing": {"name": sharing}}, "train": {**TRAIN, **train}}
    check_training(config, whole, problems)
    assert all(problem.combination for problem in problems)
    return [dotted(problem.path) for problem in problems]


def test_settings_of_training_fit_each_other() -> None:
    still = {"name": "sgd", "momentum": 0.0, "nesterov": True}
    assert wrong() == []
    assert wrong(optimizer=still) == ["train.optimizer"]
    assert wrong(optimizer={**still, "momentum": 0.1}) == []
    assert wrong(optimizer={"name": "adam"}) == []
    assert wrong(warmup=2.0) == []
    assert wrong(warmup=2.5) == ["train.warmup"]
    assert wrong(class_weights="balanced") == ["train.class_weights"]
    assert wrong(whole=WHOLE.select(["image"], ["slant"]), class_weights="balanced") == []


def test_something_is_left_to_train() -> None:
    every = ["encoders", "fusion", "heads"]
    assert wrong(freeze=every) == ["train.freeze"]
    assert wrong(freeze=[*every, "sharing"]) == ["train.freeze"]
    assert wrong(freeze=["encoders", "fusion", "heads.slant", "heads.size"]) == []
    # One that is more than whole paths may have parameters.
    assert wrong("mmoe", freeze=every) == []
    assert wrong("mmoe", freeze=[*every, "sharing"]) == ["train.freeze"]


@pytest.mark.parametrize("sharing", [name for name, s in SHARINGS.items() if s.whole_paths])
def test_a_sharing_of_whole_paths_has_no_parameters_beside_them(sharing: str) -> None:
    """What `check_training` takes for granted."""
    model = {"encoders": {"image": "lenet"}, "sharing": sharing}
    built: Any = build_model(model, WHOLE.select(["image"], ["slant"]))
    part: nn.Module = built.parts()["sharing"]
    assert not list(part.parameters())
