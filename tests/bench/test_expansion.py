"""What a suite expands to: combinations, merges, skips, exclusions and ablations."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.api import plan
from bench.errors import InputError
from bench.expansion import agrees
from bench.overrides import Override, target_of


def variants(suite: dict[str, Any]) -> dict[str, Any]:
    return {variant.name: variant.config for variant in plan(suite).variants}


def test_zipped_axes_advance_together_and_multiply_with_the_others(suite: dict[str, Any]) -> None:
    suite["sweep"] = [
        {
            "zip": {"train.batch_size": [16, 64], "train.optimizer.lr": [0.1, 0.4]},
            "fusion": ["concat", "sum"],
        }
    ]
    drawn = {
        (c["train"]["batch_size"], c["train"]["optimizer"]["lr"], c["model"]["fusion"]["name"])
        for c in list(variants(suite).values())[1:]
    }
    assert drawn == {(16, 0.1, "concat"), (16, 0.1, "sum"), (64, 0.4, "concat"), (64, 0.4, "sum")}


def test_a_simplex_has_as_many_weights_as_the_variant_has_tasks(suite: dict[str, Any]) -> None:
    suite["sweep"] = [
        {
            "simplex": {"points": 3},
            "weighting": ["static"],
            "tasks": [["script", "slant"], ["script", "category", "slant"]],
        }
    ]
    found = list(variants(suite).values())[1:]
    assert len(found) == 6
    for config in found:
        assert len(config["weighting"]["weights"]) == len(config["tasks"])
        assert sum(config["weighting"]["weights"]) == pytest.approx(len(config["tasks"]))


def test_an_ablation_changes_one_thing_at_a_time(suite: dict[str, Any]) -> None:
    suite |= {"weighting": "uncertainty", "tasks": ["script", "category", "slant"], "sweep": []}
    suite["ablate"] = {
        "fusion": ["sum", "gated"],
        "weighting": "equal",
        "modalities": "each",
        "tasks": ["slant", "script"],
        "train.epochs": 1,
    }
    planned = variants(suite)
    assert list(planned) == [
        "base",
        "sum",
        "gated",
        "equal",
        "epochs=1",
        "no-image",
        "no-text",
        "no-slant",
        "no-script",
    ]
    base = planned["base"]
    for name, config in planned.items():
        changed = [key for key in base if config[key] != base[key]]
        # With one modality left there is nothing to fuse; with a task goes its head.
        assert len(changed) == (0 if name == "base" else 2 if name.startswith("no-") else 1)
    assert planned["no-image"]["modalities"] == ["text"]
    assert planned["no-script"]["tasks"] == ["category", "slant"]


def test_what_is_excluded_is_skipped_with_the_reason_given(suite: dict[str, Any]) -> None:
    suite["sweep"] = [{"fusion": ["concat", "sum", "gated"], "sharing": ["hard", "separate"]}]
    suite["exclude"] = [
        {"when": {"fusion": "sum", "sharing": "separate"}, "reason": "not asked"},
        {"when": {"fusion": {"name": "gated"}}, "reason": "too slow"},
    ]
    planned = plan(suite)
    assert [v.name for v in planned.variants] == ["concat-hard", "concat-separate", "sum-hard"]
    assert [(skip.name, skip.reason) for skip in planned.skips] == [
        ("sum-separate", "not asked"),
        ("gated-hard", "too slow"),
        ("gated-separate", "too slow"),
    ]
    assert planned.single_task == {"concat-hard": "concat-separate"}


@pytest.mark.parametrize(
    ("key", "value", "agree"),
    [
        ("fusion", "gated", True),
        ("fusion", "sum", False),
        ("fusion", {"name": "gated", "gate": "text"}, True),
        ("fusion", {"gate": "image"}, False),
        ("fusion.gate", "text", True),
        ("fusion.rank", None, False),
        ("fusion.scale", None, True),
        ("train.epochs", 1, True),
        ("train.epochs", 1.0, True),
        ("train.epochs", True, False),
        ("train.nesterov", True, True),
        ("train.nesterov", 1, False),
        ("modalities", ["image"], True),
        ("modalities", "image", False),
        ("tasks", ["b", "a"], True),
        ("tasks", ["b"], False),
        ("train", {"epochs": 1}, True),
    ],
)
def test_when_a_condition_agrees(key: str, value: Any, agree: bool) -> None:
    config = {
        "model": {"fusion": {"name": "gated", "gate": "text", "scale": None}},
        "train": {"epochs": 1, "nesterov": True},
        "modalities": ["image"],
        "tasks": ["a", "b"],
    }
    assert agrees(config, (Override(target_of(key), (), value),)) is agree


def test_a_variant_with_too_many_parameters_is_skipped_with_the_figure(
    suite: dict[str, Any],
) -> None:
    suite |= {"max_params": 100_000, "sweep": [{"model.width": [8, 2000]}]}
    planned = plan(suite)
    assert [variant.name for variant in planned.variants] == ["width=8"]
    assert planned.skips[0].name == "width=2000"
    assert "parameters, more than max_params (100,000)" in planned.skips[0].reason


def test_sweeping_a_setting_of_a_component_that_the_base_leaves_out(suite: dict[str, Any]) -> None:
    del suite["train"]["optimizer"]
    suite["sweep"] = [{"train.optimizer.lr": [0.5], "train.schedule.final": [0.1]}]
    with pytest.raises(InputError, match="unknown setting 'final' of schedule 'constant'"):
        plan(suite)
    suite["sweep"] = [{"train.optimizer.lr": [0.5], "train.schedule": ["cosine"]}]
    assert [v.config["train"]["optimizer"]["lr"] for v in plan(suite).variants] == [1e-3, 0.5]


AXES: dict[str, list[Any]] = {
    "fusion": ["concat", "sum", "gated", {"name": "concat"}],
    "sharing": ["hard", "separate"],
    "weighting": ["equal", "uncertainty", "static"],
    "train.epochs": [1, 2, 3],
    "model.width": [8, 2000],
    "modalities": [["image"], ["image", "text"], ["text", "image"]],
}


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from(list(AXES)), st.integers(1, 4), min_size=1),
    st.sampled_from([None, {"fusion": "sum"}, {"sharing": "separate", "train.epochs": 2}]),
)
def test_the_plan_is_the_product_minus_what_is_excluded_skipped_and_merged(
    suite: dict[str, Any], axes: dict[str, int], when: dict[str, Any] | None
) -> None:
    """Counted independently: each combination by what it must come to."""
    suite = {**suite, "max_params": 200_000, "train": {"epochs": 9}}
    block = {key: AXES[key][:count] for key, count in axes.items()}
    suite["sweep"] = [block]
    kept: set[tuple[Any, ...]] = {("concat", "hard", "equal", 9, 8, 2)}
    dropped: set[tuple[Any, ...]] = set()
    for values in itertools.product(*block.values()):
        one = dict(zip(block, values, strict=True))
        fusion = one.get("fusion", "concat")
        outcome = (
            fusion if isinstance(fusion, str) else fusion["name"],
            one.get("sharing", "hard"),
            one.get("weighting", "equal"),
            one.get("train.epochs", 9),
            one.get("model.width", 8),
            len(one.get("modalities", [1, 2])),
        )
        if outcome[-1] == 1:
            outcome = ("none", *outcome[1:])
        meaningless = outcome[1] == "separate" and outcome[2] != "equal"
        excluded = when is not None and all(
            outcome[{"fusion": 0, "sharing": 1, "train.epochs": 3}[key]] == value
            for key, value in when.items()
        )
        too_large = outcome[4] == 2000
        (dropped if meaningless or excluded or too_large else kept).add(outcome)
    if when is not None:
        suite["exclude"] = [{"when": when, "reason": "not asked"}]
        matched = [o for o in dropped if not (o[1] == "separate" and o[2] != "equal")]
        if not any(
            o[0] == "sum" if "fusion" in when else o[3] == 2 and o[1] == "separate" for o in matched
        ):
            with pytest.raises(InputError, match="exclude"):
                plan(suite)
            return
    planned = plan(suite)
    assert len(planned.variants) == len(kept)
    assert len(planned.skips) == len(dropped)
