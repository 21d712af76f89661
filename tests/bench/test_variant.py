"""From raw settings to a resolved configuration."""

from __future__ import annotations

from typing import Any

import pytest

from bench.variant import Resolver, description_of, resolve_variant
from mtmm.settings import Problem, dotted

RAW: dict[str, Any] = {
    "dataset": "glyphs",
    "model": {"encoders": {"image": "lenet", "text": "lstm"}},
}


def resolved(**changes: Any) -> dict[str, Any]:
    problems: list[Problem] = []
    config = resolve_variant({**RAW, **changes}, problems)
    assert problems == []
    return config


def problems_of(**changes: Any) -> list[tuple[str, bool]]:
    problems: list[Problem] = []
    resolve_variant({**RAW, **changes}, problems)
    return [(dotted(problem.path), problem.combination) for problem in problems]


def test_every_default_is_filled_in() -> None:
    config = resolved()
    assert config["dataset"] == {"name": "glyphs", "word_dropout": 0.0, "limit": None, "seed": 0}
    assert config["modalities"] == ["image", "text"]
    assert config["tasks"] == ["script", "category", "family", "weight", "slant"]
    assert config["model"]["encoders"]["image"] == {"name": "lenet", "channels": 16}
    assert config["model"]["fusion"] == {"name": "concat"}
    assert config["weighting"] == {
        "name": "equal",
        "space": None,
        "heads": "weighted",
        "sum_to": "none",
        "every": 1,
        "gradients": None,
    }
    assert config["train"]["schedule"] == {"name": "constant"}
    assert config["train"]["optimizer"]["name"] == "adamw"


def test_a_resolved_configuration_resolves_to_itself() -> None:
    config = resolved(train={"optimizer": {"name": "sgd", "lr": 1}}, tasks=["slant"])
    assert resolve_variant(config, []) == config


def test_subsets_are_in_the_order_of_the_data() -> None:
    config = resolved(tasks=["slant", "script"], modalities=["text", "image"])
    assert config == resolved(tasks=["script", "slant"])
    assert [task.name for task in description_of(config).tasks] == ["script", "slant"]


def test_a_whole_number_for_a_float_is_the_float() -> None:
    assert resolved(train={"optimizer": {"name": "sgd", "lr": 1}}) == resolved(
        train={"optimizer": {"name": "sgd", "lr": 1.0}}
    )


def test_one_modality_needs_neither_the_other_encoder_nor_a_fusion() -> None:
    config = resolved(modalities=["image"], model={"encoders": {"image": "lenet"}, "fusion": "sum"})
    assert config["model"]["encoders"] == {"image": {"name": "lenet", "channels": 16}}
    assert config["model"]["fusion"] == {"name": "none"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model": 3}, [("model", False)]),  # nothing more about the encoders it lacks
        ({"train": 3, "dataset": "glyph"}, [("dataset", False), ("train", False)]),
        ({"tasks": ["script", "script"]}, [("tasks[1]", False)]),
        (
            {"tasks": ["scrip"], "modalities": ["img"]},
            [("modalities[0]", False), ("tasks[0]", False)],
        ),
        ({"weighting": {"name": "static", "weights": [1, 2]}}, [("weighting", True)]),
        ({"weighting": {"name": "static", "weights": [-1]}}, [("weighting.weights", False)]),
        ({"train": {"warmup": 6}}, [("train.warmup", True)]),
        ({"train": {"freeze": ["encoders", "fusion", "heads"]}}, [("train.freeze", True)]),
        ({"dataset": {"name": "glyphs", "limit": 3}}, [("dataset.limit", False)]),
        ({"dataset": {"name": "glyphs", "limit": 10**9}}, [("dataset", False)]),
        (
            {"train": {"freeze": ["encoders.x"], "lr_scale": {"head": 1.0}}},
            [("train.freeze[0]", False), ("train.lr_scale.head", False)],
        ),
        (
            {"train": {"class_weights": {"slant": [1.0], "x": "balanced"}}},
            [("train.class_weights.x", False), ("train.class_weights.slant", False)],
        ),
        (
            {"model": {**RAW["model"], "fusion": {"name": "gated", "gate": "x"}}},
            [("model.fusion.gate", False)],
        ),
        (
            {
                "modalities": ["image"],
                "model": {**RAW["model"], "fusion": {"name": "gated", "gate": "text"}},
            },
            [],
        ),
    ],
)
def test_what_is_told_and_whether_a_sweep_may_skip_it(
    changes: dict[str, Any], told: list[tuple[str, bool]]
) -> None:
    assert problems_of(**changes) == told


def test_settings_of_what_is_not_there_are_dropped() -> None:
    train = {
        "freeze": ["encoders.text"],
        "lr_scale": {"heads.slant": 2, "encoders.text": 0.5},
        "class_weights": {"slant": "balanced"},
    }
    one = {"modalities": ["image"], "tasks": ["script"]}
    assert resolved(**one, train=train) == resolved(**one)
    two = {"modalities": ["text"], "tasks": ["script", "slant"]}
    kept = resolved(**two, train=train)["train"]
    assert kept["freeze"] == ["encoders"]
    assert kept["lr_scale"] == {"heads.slant": 2.0}
    assert kept["class_weights"] == {"slant": "balanced"}


def test_settings_of_training_that_train_alike_are_equal() -> None:
    groups = {"freeze": ["encoders"], "lr_scale": {"heads": 2.0}, "class_weights": "balanced"}
    tasks = resolved()["tasks"]
    parts = {
        "freeze": ["encoders.text", "encoders.image"],
        "lr_scale": {**{f"heads.{task}": 2.0 for task in tasks}, "fusion": 1},
        "class_weights": dict.fromkeys(tasks, "balanced"),
    }
    assert resolved(train=groups) == resolved(train=parts)
    nothing = {"freeze": [], "lr_scale": {"heads": 1}, "class_weights": {}}
    assert resolved(train=nothing) == resolved()


def test_what_a_resolver_remembers_is_what_it_would_resolve_anew() -> None:
    resolver = Resolver()
    changes: list[dict[str, Any]] = [
        {},
        {"tasks": ["script"]},
        {"modalities": ["text"]},
        {"train": {"epochs": 0}},
        {"weighting": {"name": "static", "weights": [1, 2]}},
        {"tasks": ["script", "slant"], "weighting": {"name": "static", "weights": [1, 2]}},
        {"model": {**RAW["model"], "width": 8}},
        {"model": {**RAW["model"], "width": True}},
        {"model": {**RAW["model"], "width": 1}},
    ]
    for change in changes * 2:
        known: list[Problem] = []
        anew: list[Problem] = []
        assert resolver.resolve({**RAW, **change}, known) == resolve_variant(
            {**RAW, **change}, anew
        )
        assert known == anew
