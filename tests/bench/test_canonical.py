"""Training settings in one way of writing."""

from __future__ import annotations

from typing import Any

import pytest

from bench.canonical import canonical
from mtmm.spec import Description, Modality, Task

DESCRIPTION = Description(
    modalities=(
        Modality(name="image", kind="image", shape=(1, 8, 8)),
        Modality(name="text", kind="text", shape=(4,), vocabulary=9),
    ),
    tasks=(
        Task(name="a", kind="classification", classes=2),
        Task(name="b", kind="classification", classes=3),
    ),
    fingerprint="",
)
ONE = DESCRIPTION.select(["image"], ["b"])
Train = dict[str, Any]
NONE: Train = {"class_weights": None, "freeze": None, "lr_scale": None, "modality_dropout": 0.0}


def written(description: Description, own_model: bool = False, **train: Any) -> Train:
    whole = canonical({**NONE, "epochs": 3, **train}, description, own_model=own_model)
    assert list(whole) == [*NONE, "epochs"]
    return {key: value for key, value in whole.items() if key in train}


@pytest.mark.parametrize(
    ("given", "same"),
    [
        (["encoders.text", "encoders.image"], ["encoders"]),
        (["encoders", "encoders.text"], ["encoders"]),
        (["heads.b", "fusion", "encoders.text", "fusion"], ["encoders.text", "fusion", "heads.b"]),
        ([], None),
        (None, None),
    ],
)
def test_freeze(given: Any, same: Any) -> None:
    assert written(DESCRIPTION, freeze=given) == {"freeze": same}
    assert written(DESCRIPTION, freeze=same) == {"freeze": same}


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ({"encoders.text": 0.1, "encoders.image": 0.1}, {"encoders": 0.1}),
        ({"encoders": 0.1, "encoders.text": 2.0}, {"encoders.image": 0.1, "encoders.text": 2.0}),
        ({"encoders": 0.1, "encoders.text": 1.0}, {"encoders.image": 0.1}),
        ({"encoders": 1.0, "heads": 1.0}, None),
        ({}, None),
        (None, None),
    ],
)
def test_lr_scale(given: Any, same: Any) -> None:
    assert written(DESCRIPTION, lr_scale=given) == {"lr_scale": same}
    assert written(DESCRIPTION, lr_scale=same) == {"lr_scale": same}


def test_what_stands_still_has_no_rate() -> None:
    given: Train = {"freeze": ["encoders.text"], "lr_scale": {"encoders": 0.1, "fusion": 2.0}}
    same: Train = {"freeze": ["encoders.text"], "lr_scale": {"encoders.image": 0.1, "fusion": 2.0}}
    assert written(DESCRIPTION, **given) == same


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ({"a": "balanced", "b": "balanced"}, "balanced"),
        ({"b": "balanced"}, {"b": "balanced"}),
        ({"a": "balanced", "b": [1.0, 1.0, 2.0]}, {"a": "balanced", "b": [1.0, 1.0, 2.0]}),
        ("balanced", "balanced"),
        ({}, None),
        (None, None),
    ],
)
def test_class_weights(given: Any, same: Any) -> None:
    assert written(DESCRIPTION, class_weights=given) == {"class_weights": same}


def test_what_is_not_there_is_left_out() -> None:
    absent: Train = {
        "freeze": ["encoders.text", "heads.a"],
        "lr_scale": {"heads.a": 2.0},
        "class_weights": {"a": "balanced"},
        "modality_dropout": 0.3,  # of the only modality
    }
    assert written(ONE, **absent) == NONE
    assert written(DESCRIPTION, modality_dropout=0.3) == {"modality_dropout": 0.3}
    there: Train = {
        "freeze": ["encoders"],
        "lr_scale": {"heads": 2.0, "heads.a": 3.0},
        "class_weights": {"a": [1.0, 2.0], "b": "balanced"},
    }
    assert written(ONE, **there) == {
        "freeze": ["encoders"],
        "lr_scale": {"heads": 2.0},
        "class_weights": "balanced",
    }


def test_parts_of_a_model_of_ones_own_are_its_own() -> None:
    given: Train = {"freeze": ["trunk.b", "trunk.a", "trunk.b"], "lr_scale": {"trunk": 1.0}}
    same: Train = {"freeze": ["trunk.a", "trunk.b"], "lr_scale": {"trunk": 1.0}}
    assert written(DESCRIPTION, own_model=True, **given) == same
    empty: Train = {"freeze": [], "lr_scale": {}}
    assert written(DESCRIPTION, own_model=True, **empty) == {"freeze": None, "lr_scale": None}
