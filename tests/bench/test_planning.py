from __future__ import annotations

from typing import Any

import pytest

from bench.api import plan
from bench.errors import InputError


def names(suite: dict[str, Any]) -> list[str]:
    return [variant.name for variant in plan(suite).variants]


def test_axes_of_a_block_multiply_and_blocks_are_joined(suite: dict[str, Any]) -> None:
    suite["sweep"] = [
        {"fusion": ["concat", "sum"], "weighting": ["equal", "uncertainty"]},
        {"sharing": ["separate"], "fusion": ["sum", "gated"]},
    ]
    assert names(suite) == [
        "concat-equal",
        "concat-uncertainty",
        "sum-equal",
        "sum-uncertainty",
        "sum-separate",
        "gated-separate",
    ]


def test_the_base_is_planned_first_whether_it_is_swept_or_not(suite: dict[str, Any]) -> None:
    suite["sweep"] = [{"fusion": ["sum", "concat"]}]
    assert names(suite) == ["concat", "sum"]
    suite["sweep"] = [{"fusion": ["sum"]}]
    assert names(suite) == ["concat", "sum"]
    suite["sweep"] = []
    assert names(suite) == ["base"]


def test_what_resolves_to_the_same_merges(suite: dict[str, Any]) -> None:
    suite["sweep"] = [{"fusion": ["concat", {"name": "concat"}]}]
    assert names(suite) == ["concat"]
    # With one modality there is nothing to fuse.
    suite["sweep"] = [{"modalities": [["image"]], "fusion": ["concat", "sum"]}]
    assert names(suite) == ["image+text-concat", "image-none"]


def test_the_baseline_is_the_base_with_overrides(suite: dict[str, Any]) -> None:
    assert plan(suite).baseline == "hard"
    suite["baseline"] = {"sharing": "separate"}
    assert plan(suite).baseline == "separate"
    suite["baseline"] = {"fusion": "sum"}
    with pytest.raises(InputError, match="none of the planned variants"):
        plan(suite)


def test_single_task_twins_are_planned_where_sharing_or_weighting_is_varied(
    suite: dict[str, Any],
) -> None:
    suite["sweep"] = [
        {"sharing": ["hard"], "weighting": ["equal", "uncertainty"], "fusion": ["concat", "sum"]},
        {"sharing": ["separate"]},
    ]
    planned = plan(suite)
    assert planned.single_task == {
        "hard-equal-concat": "separate",
        "hard-uncertainty-concat": "separate",
        "hard-equal-sum": "single-task-sum",
        "hard-uncertainty-sum": "single-task-sum",
    }
    (twin,) = planned.twins
    assert (twin.name, twin.config["model"]["fusion"]["name"]) == ("single-task-sum", "sum")
    assert twin.config["model"]["sharing"]["name"] == "separate"
    assert ("single-task-sum", 0) in planned.cells("cpu")
    assert "single-task-sum" not in planned.arms
    # Twins share nothing whose gradients could be compared, and are planned without that.
    compared = {**suite, "train": {**suite.get("train", {}), "diagnostics": 5}}
    assert {t.name for t in plan(compared).twins} == {"single-task-sum", "single-task-concat"}
    suite["single_task"] = "off"
    planned = plan(suite)
    assert planned.twins == ()
    assert set(planned.single_task) == {"hard-equal-concat", "hard-uncertainty-concat"}


@pytest.mark.parametrize(
    "change",
    [
        {"sweep": [{"fusion": ["sum", "concat"]}]},
        {"sweep": [{"weighting": ["equal", "uncertainty"]}], "tasks": ["slant"]},
        {"sweep": [], "sharing": "separate"},
    ],
)
def test_no_twins_where_nothing_is_asked_about_tasks(
    suite: dict[str, Any], change: dict[str, Any]
) -> None:
    assert plan(suite | change).twins == ()


def test_a_twin_that_is_excluded_is_not_trained(suite: dict[str, Any]) -> None:
    suite["sweep"] = [{"sharing": ["hard", "separate"], "fusion": ["concat", "sum"]}]
    suite["exclude"] = [{"when": {"sharing": "separate", "fusion": "sum"}, "reason": "no time"}]
    planned = plan(suite)
    assert planned.twins == ()
    assert planned.single_task == {"hard-concat": "separate-concat"}


def test_a_variant_is_named_after_what_its_block_varies(suite: dict[str, Any]) -> None:
    suite["sweep"] = [
        {"fusion": ["concat", "sum"]},
        {"zip": {"train.epochs": [1, 2], "train.batch_size": [8, 16]}},
        {"train.optimizer.lr": [0.5], "fusion": ["sum"]},
    ]
    assert names(suite) == [
        "concat",
        "sum",
        "epochs=1-batch_size=8",
        "epochs=2-batch_size=16",
        "sum-lr=0.5",
    ]


def test_cells_come_seed_by_seed(suite: dict[str, Any]) -> None:
    suite["seeds"] = [4, 2]
    cells = plan(suite).cells("cpu")
    assert list(cells) == [("hard", 4), ("separate", 4), ("hard", 2), ("separate", 2)]
    assert len({cell.id for cell in cells.values()}) == 4


def test_a_dotted_path_reaches_a_setting(suite: dict[str, Any]) -> None:
    suite["sweep"] = [{"train.optimizer.lr": [1, 0.1], "encoders.image.channels": [2, 3]}]
    assert names(suite)[1] == "lr=1-channels=2"
    last = plan(suite).variants[-1].config
    assert last["train"]["optimizer"]["lr"] == 0.1
    assert last["model"]["encoders"]["image"] == {"name": "lenet", "channels": 3}


def test_a_component_is_set_before_its_settings_whatever_their_order(suite: dict[str, Any]) -> None:
    axes = {"weighting.weights": [[1, 2], [2, 1]], "weighting": ["static"]}
    suite["sweep"] = [axes]
    given = [variant.config for variant in plan(suite).variants]
    suite["sweep"] = [dict(reversed(axes.items()))]
    assert given == [variant.config for variant in plan(suite).variants]
    weights = [config["weighting"].get("weights") for config in given]
    assert weights == [None, [1.0, 2.0], [2.0, 1.0]]


def test_a_weighting_in_separate_is_skipped_with_its_reason(suite: dict[str, Any]) -> None:
    suite["sweep"] = [{"sharing": ["hard", "separate"], "weighting": ["equal", "uncertainty"]}]
    planned = plan(suite)
    assert [v.name for v in planned.variants] == [
        "hard-equal",
        "hard-uncertainty",
        "separate-equal",
    ]
    (skip,) = planned.skips
    assert skip.name == "separate-uncertainty"
    assert "nothing to balance in 'separate'" in skip.reason
    suite |= {"sweep": [], "sharing": "separate", "weighting": "uncertainty"}
    with pytest.raises(InputError, match="nothing to balance in 'separate'"):
        plan(suite)


def test_a_plan_shows_itself_by_names(suite: dict[str, Any]) -> None:
    assert repr(plan(suite)) == "<small: 2 variants × 2 seeds, baseline hard: hard, separate>"
    suite["sweep"] = [{"sharing": ["hard", "separate"], "weighting": ["equal", "pcgrad"]}]
    assert repr(plan(suite)).endswith("; skipped: separate-pcgrad>")
