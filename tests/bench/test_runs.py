from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pytest

from bench.errors import InputError
from bench.runs import RunComparison, compare_runs

CPU = "a CPU (2 cores)"
FAR, NEAR = 0.02, 0.001
"""Half-widths of a time's interval over eight rounds, on its logarithm."""


def train(
    variant: str, scores: Sequence[float | str], tasks: Sequence[str] = ("a", "b"), lr: float = 0.1
) -> list[dict[str, Any]]:
    """One record a seed; a text is the status of one that failed."""
    rows: list[dict[str, Any]] = []
    for seed, score in enumerate(scores):
        row = {"suite": "demo", "variant": variant, "kind": "train", "seed": float(seed)}
        row |= {"reason": "", "config.train.lr": lr}
        if isinstance(score, str):
            rows.append(row | {"status": score, "reason": "it broke"})
        else:
            by_task = {f"test.{task}.score": score + i for i, task in enumerate(tasks)}
            rows.append(row | {"status": "ok"} | by_task)
            rows[-1]["test.score"] = sum(by_task.values()) / len(by_task)
    return rows


def timing(
    variant: str,
    step_ms: float,
    reference_ms: float | None = 5.0,
    *,
    half: float = NEAR,
    device: str = CPU,
) -> dict[str, Any]:
    row: dict[str, Any] = {"suite": "demo", "variant": variant, "kind": "time", "reason": ""}
    row |= {"status": "ok", "config.train.lr": 0.1, "time.mode": "train", "time.batch_size": 64.0}
    row |= {"time.device_name": device, "time.rounds": 8.0} | around("step", step_ms, half)
    return row | ({} if reference_ms is None else around("reference", reference_ms, half))


def around(name: str, ms: float, half: float) -> dict[str, float]:
    lo, hi = ms * math.exp(-half), ms * math.exp(half)
    return {f"time.{name}_ms": ms, f"time.{name}_lo_ms": lo, f"time.{name}_hi_ms": hi}


def compared(
    a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]], **how: Any
) -> RunComparison:
    return compare_runs(pd.DataFrame(a), pd.DataFrame(b), **how)


def time_of(a: Mapping[str, Any], b: Mapping[str, Any], **how: Any) -> dict[str, Any]:
    base = train("x", [0.5])
    (row,) = compared([*base, a], [*base, b], **how).times.to_dict("records")
    return {str(key): value for key, value in row.items()}


BEFORE, AFTER = (0.50, 0.60, 0.70), (0.40, 0.49, 0.61)
"""Differences of -10, -11 and -9 points: t² is 300, p = 1 - √(300 / 302) = 0.0033."""


def test_scores_are_paired_by_seed_and_adjusted_over_the_variants() -> None:
    a = train("x", BEFORE) + train("y", BEFORE) + train("z", BEFORE)
    b = train("x", AFTER) + train("y", (0.55, 0.62, 0.78)) + train("z", BEFORE[:1])
    table = compared(a, b).scores.set_index("variant")
    p = 1 - math.sqrt(300 / 302)
    assert table["difference"].to_list() == pytest.approx([-0.10, 0.05, 0.0])
    assert table["p_holm"].to_list()[:2] == pytest.approx([2 * p, 1 - math.sqrt(25 / 31)])
    assert table["n_pairs"].to_list() == [3, 3, 1]
    assert table["verdict"].to_list() == ["worse", "not distinguishable", ""]
    half = 4.302653 * 0.01 / math.sqrt(3)
    bounds = table[["difference_lo", "difference_hi"]].to_numpy()[0].tolist()
    assert bounds == pytest.approx([-0.10 - half, -0.10 + half])
    assert compared(b, a).scores["verdict"].to_list()[0] == "better"


def test_scores_are_those_of_the_seeds_and_tasks_of_both() -> None:
    a = train("x", [0.1, "error", 0.3, 0.4], tasks=["a"])
    b = train("x", [0.2, 0.2, 0.5], tasks=["a", "b"])
    (row,) = compared(a, b).scores.to_dict("records")
    assert row["n_pairs"] == 2
    assert (row["score_a"], row["score_b"]) == pytest.approx((0.2, 0.35))
    (row,) = compared(b, a).scores.to_dict("records")
    assert row["difference"] == pytest.approx(-0.15)


def test_what_finished_before_and_failed_after_is_lost() -> None:
    a = [*train("x", [0.1, 0.2, "oom", 0.3, 0.3]), timing("x", 10.0)]
    failed = {**timing("x", math.nan), "status": "timeout", "reason": "after 3 s"}
    b = [*train("x", [0.1, "diverged", "error", "missing", "unusable"]), failed]
    found = compared(a, b)
    assert found.lost == (
        "x, seed 1: diverged: it broke",
        "x, seed 4: unusable: it broke",
        "x, train at batch size 64: timeout: after 3 s",
    )
    assert "failed" in found.verdicts()
    assert compared(b, a).lost == ()


def test_variants_of_one_run_only_are_told_and_none_in_common_is_refused() -> None:
    a, b = train("x", [0.1]) + train("old", [0.1]), train("new", [0.1]) + train("x", [0.1])
    found = compared(a, b)
    assert (found.only_a, found.only_b) == (("old",), ("new",))
    with pytest.raises(InputError, match="no variant in common: A has 'x', 'old'; B has 'y'"):
        compared(a, train("y", [0.1]))


def test_settings_that_differ_under_one_name_are_told() -> None:
    a = train("x", [0.1]) + train("y", [0.1]) + train("z", [0.1], lr=0.3)
    b = train("x", [0.1], lr=0.2) + train("y", [0.1], lr=0.2) + train("z", [0.1], lr=0.3)
    told = compared(a, [{**row, "config.new": "on"} for row in b]).settings
    assert told.to_dict("records") == [
        {"setting": "train.lr", "a": "0.1", "b": "0.2", "variants": 2},
        {"setting": "new", "a": "", "b": "on", "variants": 3},
    ]


@pytest.mark.parametrize(
    ("b_ms", "half", "word"),
    [
        (11.5, NEAR, "slower"),
        (8.5, NEAR, "faster"),
        (10.5, NEAR, "same"),
        (9.5, NEAR, "same"),
        (10.8, 0.1, "unclear"),
        (11.5, 0.2, "unclear"),
    ],
)
def test_times_have_four_verdicts(b_ms: float, half: float, word: str) -> None:
    row = time_of(timing("x", 10.0, half=half), timing("x", b_ms, half=half))
    assert row["ratio"] == pytest.approx(b_ms / 10)
    assert row["ratio_lo"] < row["ratio"] < row["ratio_hi"]
    assert row["verdict"] == word
    assert bool(row["why"]) == (word == "unclear")


def test_an_unclear_time_says_how_many_rounds_would_decide() -> None:
    half = 0.05
    row = time_of(timing("x", 10.0, half=half), timing("x", 10.8, half=half))
    assert row["verdict"] == "unclear"
    assert row["why"] == f"about {row['rounds']:.0f} rounds each would decide (8 and 8 were run)"
    # So many rounds with the same scatter: the interval is narrower by the root of their number.
    assert row["rounds"] > 8
    more = timing("x", 10.0, half=NEAR), timing("x", 10.8, half=NEAR)
    assert time_of(*more)["verdict"] == "same"


@pytest.mark.parametrize(("moved", "told"), [(5.6, "1.12"), (4.4, "0.88")])
def test_a_time_is_unclear_where_the_reference_arm_moved(moved: float, told: str) -> None:
    row = time_of(timing("x", 10.0, 5.0), timing("x", 13.0, moved))
    assert (row["verdict"], row["why"]) == ("unclear", f"the reference arm moved, {told} times")
    assert row["ratio"] == pytest.approx(1.3)
    assert row["reference"] == pytest.approx(moved / 5)
    assert row["reference_lo"] < row["reference"] < row["reference_hi"]
    assert time_of(timing("x", 10.0, 5.0), timing("x", 13.0, 5.4))["verdict"] == "slower"


def test_a_time_is_unclear_without_a_reference_arm() -> None:
    old, new = timing("x", 10.0, None), timing("x", 13.0)
    told = [time_of(*pair)["why"] for pair in ((old, new), (new, old), (old, old))]
    assert told == [f"no reference arm in {who}" for who in ("A", "B", "A and B")]
    older = {key: value for key, value in timing("x", 10.0).items() if key != "time.rounds"}
    assert time_of(older, new)["why"] == "too few rounds for an interval"


def test_the_threshold_is_that_of_the_device_or_the_one_given() -> None:
    gpu = "NVIDIA H100 80GB HBM3"
    a, b = timing("x", 10.0, device=gpu), timing("x", 10.7, device=gpu)
    assert time_of(a, b)["verdict"] == "slower"
    assert time_of(a, b, threshold=0.1)["verdict"] == "same"
    a, b = timing("x", 10.0), timing("x", 10.7)
    assert time_of(a, b)["verdict"] == "same"
    assert time_of(a, b, threshold=0.05)["verdict"] == "slower"
    with pytest.raises(ValueError, match="threshold must be above 0, found 0"):
        time_of(a, b, threshold=0)


def test_different_devices_are_refused_unless_allowed() -> None:
    a, b = timing("x", 10.0), timing("x", 10.5, device="b CPU (8 cores)")
    with pytest.raises(InputError, match=r"A on 'a CPU \(2 cores\)'; B on 'b CPU \(8 cores\)'"):
        time_of(a, b)
    base = train("x", [0.5])
    assert compared([*base, a], [*base, b], allow_mixed=True).mixed
    assert not compared([*base, a], base).mixed


def test_timings_are_matched_by_mode_and_batch_size_the_newest_of_each() -> None:
    other, single = {"time.mode": "inference"}, {"time.batch_size": 1.0}
    a = [*train("x", [0.5]), timing("x", 9.0), timing("x", 10.0), timing("x", 4.0) | other]
    b = [*train("x", [0.5]), timing("x", 10.0), timing("x", 20.0) | single]
    found = compared(a, b)
    assert found.times[["mode", "batch_size", "ratio"]].to_numpy().tolist() == [["train", 64, 1.0]]
    assert found.verdicts() == {"same"}


def test_runs_without_timing() -> None:
    found = compared(train("x", BEFORE), train("x", BEFORE))
    assert found.times.empty
    assert found.verdicts() == {"not distinguishable"}
