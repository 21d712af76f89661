from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest
from scipy import stats

from bench.compare import Comparison, compare
from bench.statistics import smallest_detectable


@dataclass(frozen=True)
class Metric:
    higher_is_better: bool
    ideal: float = 1.0


METRICS = {"accuracy": Metric(True), "error": Metric(False)}

# Three seeds of a score; the differences to the baseline are (5, 2, 8) and (-10, -11, -9) points.
BASE = (0.50, 0.60, 0.70)
UNSURE = (0.55, 0.62, 0.78)
WORSE = (0.40, 0.49, 0.61)


def train(variant: str, scores: tuple[float, ...], status: str = "ok") -> list[dict[str, object]]:
    """One record per seed; every metric of the two tasks follows from the score."""
    return [
        {
            "suite": "demo",
            "variant": variant,
            "kind": "train",
            "seed": seed,
            "status": status,
            "reason": "",
            "test.a.accuracy": score,
            "test.b.accuracy": score / 2,
            "test.b.error": 1 - score / 2,
            "test.score": score,
            "params": 1000,
        }
        for seed, score in enumerate(scores)
    ]


def timing(
    variant: str, step_ms: float, block: str = "b1", mode: str = "train", batch_size: int = 8
) -> dict[str, object]:
    return {
        "suite": "demo",
        "variant": variant,
        "kind": "time",
        "status": "ok",
        "time.mode": mode,
        "time.batch_size": batch_size,
        "time.block": block,
        "time.step_ms": step_ms,
        "time.step_lo_ms": step_ms - 1,
        "time.step_hi_ms": step_ms + 1,
        "time.forward_ms": step_ms / 4,
        "time.inference_ms": step_ms / 8,
        "samples_per_s": 1000 * batch_size / step_ms,
        "peak_mib": 64.0,
        "flops": 5000,
    }


def compared(
    records: list[dict[str, object]], single_task: dict[str, str] | None = None
) -> Comparison:
    return compare(
        pd.DataFrame(records), baseline="base", single_task=single_task or {}, metrics=METRICS
    )


def row(comparison: Comparison, variant: str) -> pd.Series[Any]:
    return comparison.table[comparison.table["variant"] == variant].iloc[0]


@pytest.fixture
def three() -> Comparison:
    return compared(train("unsure", UNSURE) + train("base", BASE) + train("worse", WORSE))


def test_rows_keep_the_order_of_the_frame(three: Comparison) -> None:
    assert three.table["variant"].tolist() == ["unsure", "base", "worse"]
    assert three.table["n"].tolist() == [3, 3, 3]
    assert three.table["failed"].tolist() == [0, 0, 0]
    assert three.primary == {"a": "accuracy", "b": "accuracy"}


def test_means_and_intervals(three: Comparison) -> None:
    base = row(three, "base")
    half = 4.302653 * 0.1 / math.sqrt(3)  # t(2) at 97.5 %, sd 0.1
    assert base[["score", "score_lo", "score_hi"]].tolist() == pytest.approx(
        [0.6, 0.6 - half, 0.6 + half], abs=1e-6
    )
    assert base["a.accuracy"] == pytest.approx(0.6)
    assert base[["b.accuracy", "b.accuracy_hi"]].tolist() == pytest.approx(
        [0.3, 0.3 + half / 2], abs=1e-6
    )
    assert "b.error" not in base


def test_difference_and_verdict(three: Comparison) -> None:
    unsure, worse = row(three, "unsure"), row(three, "worse")
    half = 4.302653 * 0.03 / math.sqrt(3)
    assert unsure[["difference", "difference_lo", "difference_hi"]].tolist() == pytest.approx(
        [0.05, 0.05 - half, 0.05 + half], abs=1e-6
    )
    # With two degrees of freedom p = 1 - t / sqrt(2 + t²); t² is 25/3 and 300.
    assert unsure["p"] == pytest.approx(1 - math.sqrt(25 / 31))
    assert worse["p"] == pytest.approx(1 - math.sqrt(300 / 302))
    assert unsure["p_holm"] == pytest.approx(unsure["p"])
    assert worse["p_holm"] == pytest.approx(2 * worse["p"])
    assert three.table["verdict"].tolist() == ["not distinguishable", "baseline", "worse"]
    assert three.table["n_pairs"].tolist() == [3, 0, 3]
    assert math.isnan(row(three, "base")["difference"])


def test_family_and_smallest_detectable(three: Comparison) -> None:
    assert three.family == 2
    # The sds of the differences are 0.03 and 0.01; the median of the two lies between.
    expected = 0.02 * smallest_detectable(1.0, 3, 0.05 / 2)
    assert three.smallest_detectable == pytest.approx(expected)


def test_resampling_only_from_ten_pairs_on(three: Comparison) -> None:
    assert three.table[["p_sign_flip", "bootstrap_lo", "bootstrap_hi"]].isna().all(axis=None)
    many = tuple(0.5 + 0.01 * (seed % 3) for seed in range(10))
    more = tuple(score + 0.02 + 0.001 * seed for seed, score in enumerate(many))
    better = row(compared(train("base", many) + train("better", more)), "better")
    assert better["verdict"] == "better"
    assert better["p_sign_flip"] == 2 / 2**10
    assert 0.02 < better["bootstrap_lo"] < 0.0245 < better["bootstrap_hi"] < 0.029


def test_pairs_are_the_seeds_both_have() -> None:
    # Without seed 0 the differences are 2 and 8 points, and the frame's order does not matter.
    found = row(compared(train("base", BASE) + train("unsure", UNSURE)[:0:-1]), "unsure")
    assert (found["n"], found["n_pairs"]) == (2, 2)
    assert found["difference"] == pytest.approx(0.05)
    # t = 0.05 / (0.0424264 / sqrt 2) = 5/3; with one degree of freedom p = 1 - 2/π · atan t.
    assert found["p"] == pytest.approx(1 - 2 / math.pi * math.atan(5 / 3))


def test_a_failed_variant_gets_no_verdict_and_no_share_of_the_family() -> None:
    lost = train("lost", (math.nan,) * 3, status="diverged")
    comparison = compared(train("base", BASE) + lost + train("worse", WORSE))
    found = row(comparison, "lost")
    assert (found["n"], found["failed"], found["n_pairs"]) == (0, 3, 0)
    assert found["verdict"] == ""
    assert found[["score", "difference", "p", "p_holm"]].isna().all()
    assert comparison.family == 1
    assert row(comparison, "worse")["p_holm"] == pytest.approx(1 - math.sqrt(300 / 302))


def test_one_pair_is_no_test() -> None:
    comparison = compared(train("base", BASE) + train("other", UNSURE[:1]))
    found = row(comparison, "other")
    assert found["difference"] == pytest.approx(0.05)
    assert (found["n_pairs"], found["verdict"]) == (1, "")
    assert comparison.family == 0
    assert math.isnan(comparison.smallest_detectable)


def test_a_failed_baseline_leaves_no_verdicts() -> None:
    lost = train("base", (math.nan,) * 3, status="error")
    assert compared(lost + train("other", UNSURE)).table["verdict"].tolist() == ["baseline", ""]


@pytest.mark.parametrize("status", ["skipped", "missing"])
def test_a_unit_that_did_not_run_is_no_failure(status: str) -> None:
    idle = train("idle", (math.nan,), status=status)
    assert row(compared(train("base", BASE) + idle), "idle")["failed"] == 0


def test_a_suite_of_which_nothing_finished() -> None:
    bare = ("suite", "variant", "kind", "seed", "status", "reason")
    lost = train("base", BASE, status="oom") + train("other", BASE, status="missing")
    records: list[dict[str, object]] = [{key: record[key] for key in bare} for record in lost]
    records.append({**records[0], "kind": "time", "seed": None, "status": "error"})
    comparison = compared(records, single_task={"other": "base"})
    assert comparison.table["failed"].tolist() == [3, 0]
    assert comparison.table["verdict"].tolist() == ["baseline", ""]
    assert (
        comparison.table[["score", "difference", "delta_m_flat", "step_ms"]].isna().all(axis=None)
    )
    assert comparison.batch_size is None


def test_a_failed_timing_leaves_only_its_own_variant_without_times() -> None:
    lost = {**timing("lost", 1.0), "status": "oom", "time.batch_size": None, "time.step_ms": None}
    records = train("lost", UNSURE) + train("base", BASE) + [lost, timing("base", 40.0)]
    comparison = compared([*records, {**timing("base", 9.0, mode="inference"), "flops": None}])
    assert comparison.batch_size == 8
    assert math.isnan(row(comparison, "lost")["step_ms"])
    assert row(comparison, "base")["step_ms"] == 40.0


def test_identical_arms() -> None:
    comparison = compared(train("base", BASE) + train("same", BASE))
    same = row(comparison, "same")
    assert (same["difference"], same["p"], same["p_holm"]) == (0.0, 1.0, 1.0)
    assert same["verdict"] == "not distinguishable"
    assert math.isnan(comparison.smallest_detectable)


def test_variants_outside_the_family() -> None:
    records = train("base", BASE) + train("worse", WORSE) + train("single", UNSURE)
    comparison = compare(
        pd.DataFrame(records),
        baseline="base",
        single_task={},
        metrics=METRICS,
        family=["worse"],
    )
    single = row(comparison, "single")
    assert comparison.family == 1
    assert single["difference"] == pytest.approx(0.05)
    assert single["verdict"] == ""
    assert math.isnan(single["p_holm"])


def test_delta_m_seed_by_seed() -> None:
    # Accuracies gain 20 %, 0 % and 10 %; b's error is 1 - score / 2, so 0.75 -> 0.70 and so on.
    single = (0.5, 0.6, 0.7)
    multi = (0.6, 0.6, 0.77)
    comparison = compared(
        train("base", multi) + train("single", single), single_task={"base": "single"}
    )
    error_gains = (100 * 0.05 / 0.75, 0.0, 100 * 0.035 / 0.65)
    gains = (20.0, 0.0, 10.0)
    pairs = list(zip(gains, error_gains, strict=True))
    per_task = sum((gain + (gain + error) / 2) / 2 for gain, error in pairs) / 3
    flat = -sum((2 * gain + error) / 3 for gain, error in pairs) / 3
    base = row(comparison, "base")
    assert base["delta_m_per_task"] == pytest.approx(per_task)
    assert base["delta_m_flat"] == pytest.approx(flat)
    assert base["delta_m_flat_lo"] < flat < base["delta_m_flat_hi"]
    assert math.isnan(row(comparison, "single")["delta_m_per_task"])
    paired = stats.ttest_rel(multi, single)
    bounds = paired.confidence_interval()
    for task, part in (("a", 1.0), ("b", 0.5)):
        assert base[f"gain.{task}"] == pytest.approx(part * 0.17 / 3)
        assert base[f"gain.{task}_lo"] == pytest.approx(part * bounds.low)
        assert base[f"gain.{task}_hi"] == pytest.approx(part * bounds.high)
    assert math.isnan(row(comparison, "single")["gain.a"])


def test_a_gain_is_positive_where_less_is_better() -> None:
    records = train("base", (0.6, 0.6, 0.77)) + train("single", (0.5, 0.6, 0.7))
    for record in records:
        del record["test.b.accuracy"]
    comparison = compared(records, single_task={"base": "single"})
    assert comparison.primary["b"] == "error"
    assert row(comparison, "base")["gain.b"] == pytest.approx(0.17 / 6)


def test_delta_m_leaves_out_tasks_that_the_variant_lacks() -> None:
    alone = train("base", (0.6, 0.6, 0.6))
    for record in alone:
        record["test.b.accuracy"] = record["test.b.error"] = math.nan
    comparison = compared(alone + train("single", (0.5, 0.5, 0.5)), single_task={"base": "single"})
    assert row(comparison, "base")["delta_m_per_task"] == pytest.approx(20.0)
    assert row(comparison, "base")["delta_m_flat"] == pytest.approx(-20.0)
    assert math.isnan(row(comparison, "base")["b.accuracy"])


def test_timing_columns() -> None:
    records = train("base", BASE) + train("fast", UNSURE) + train("later", WORSE)
    records += [timing("base", 40.0), timing("fast", 30.0), timing("base", 99.0, batch_size=64)]
    records += [timing("fast", 16.0, mode="inference"), timing("later", 20.0, block="b2")]
    records += [timing("fast", 50.0, mode="pipeline", block="b3")]
    comparison = compared(records)
    fast, later = row(comparison, "fast"), row(comparison, "later")
    assert comparison.batch_size == 8
    assert fast[["step_ms", "step_lo_ms", "step_hi_ms"]].tolist() == [30.0, 29.0, 31.0]
    assert (fast["forward_ms"], fast["inference_ms"]) == (7.5, 2.0)
    assert fast["samples_per_s"] == pytest.approx(8000 / 30)
    assert fast["pipeline_samples_per_s"] == pytest.approx(8000 / 50)
    assert math.isnan(later["pipeline_samples_per_s"])
    assert fast["step_ratio"] == 0.75
    assert row(comparison, "base")["step_ratio"] == 1.0
    assert (fast["params"], fast["flops"], fast["peak_mib"]) == (1000, 5000, 64.0)
    assert math.isnan(fast["backward_ms"])
    # A ratio across blocks would compare different machine states.
    assert later["step_ms"] == 20.0
    assert math.isnan(later["step_ratio"])


def test_a_retimed_variant_uses_its_newest_block() -> None:
    records = train("base", BASE) + train("fast", UNSURE)
    records += [timing("base", 40.0), timing("fast", 30.0)]
    records += [timing("base", 50.0, block="b2"), timing("fast", 25.0, block="b2")]
    assert row(compared(records), "fast")["step_ratio"] == 0.5


def test_without_timing(three: Comparison) -> None:
    assert three.batch_size is None
    assert three.table[["step_ms", "step_ratio", "inference_ms", "flops"]].isna().all(axis=None)
    assert three.table["params"].tolist() == [1000, 1000, 1000]


def test_errors_name_what_is_wrong() -> None:
    frame = pd.DataFrame(train("base", BASE) + train("other", UNSURE))
    with pytest.raises(ValueError, match=r"baseline must name variants .*\(base, other\), found x"):
        compare(frame, baseline="x", single_task={}, metrics=METRICS)
    with pytest.raises(ValueError, match=r"single_task must name variants .* found gone"):
        compare(frame, baseline="base", single_task={"base": "gone"}, metrics=METRICS)
    with pytest.raises(ValueError, match="two of variant 'base', seed 0"):
        compared(train("base", BASE) + train("base", BASE))
    with pytest.raises(ValueError, match="frame must hold one suite, found demo, more"):
        compared([*train("base", BASE), {**train("base", BASE)[0], "suite": "more"}])


def with_val(records: list[dict[str, object]], val: float) -> list[dict[str, object]]:
    return [{**record, "val.score": val} for record in records]


@pytest.fixture
def five() -> pd.DataFrame:
    """A baseline, two methods and two static points, of which the first is the better on val."""
    return pd.DataFrame(
        train("base", BASE)
        + train("unsure", UNSURE)
        + train("worse", WORSE)
        + with_val(train("static-0", (0.51, 0.60, 0.73)), 0.9)
        + with_val(train("static-1", (0.70, 0.80, 0.90)), 0.8)
    )


def best_of(frame: pd.DataFrame, family: list[str], *candidates: str) -> Comparison:
    return compare(
        frame,
        baseline="base",
        single_task={},
        metrics=METRICS,
        family=family,
        best_of=candidates,
    )


def test_the_best_of_some_is_a_second_comparator(five: pd.DataFrame) -> None:
    found = best_of(five, ["base", "unsure", "worse"], "static-0", "static-1")
    assert found.best.variant == "static-0"
    assert found.comparators == {"": "base", "to_best_": "static-0"}
    assert found.family == 5
    verdicts = found.table[["variant", "verdict", "to_best_verdict"]].to_numpy().tolist()
    assert verdicts == [
        ["base", "baseline", "not distinguishable"],
        ["unsure", "not distinguishable", "not distinguishable"],
        ["worse", "worse", "worse"],
        ["static-0", "", "best on val"],
        ["static-1", "", ""],
    ]
    worse = row(found, "worse")
    assert worse["to_best_difference"] == pytest.approx(-0.34 / 3)
    assert worse["to_best_p_holm"] == pytest.approx(5 * worse["to_best_p"])
    assert worse["p_holm"] == pytest.approx(4 * worse["p"])
    assert row(found, "static-1")["to_best_difference_lo"] > 0


def test_where_the_best_is_the_baseline_there_is_one_comparator(five: pd.DataFrame) -> None:
    five.loc[five["variant"] == "base", "val.score"] = 1.0
    found = best_of(five, ["unsure", "worse"], "base", "static-0")
    assert (found.best.variant, found.comparators) == ("base", {"": "base"})
    assert found.family == 2
    assert not found.table.columns.str.startswith("to_best_").any()


def test_candidates_that_have_not_finished_leave_one_comparator(five: pd.DataFrame) -> None:
    found = best_of(five.drop(columns="val.score"), ["unsure"], "static-0")
    assert (found.best.variant, found.best.candidates) == (None, ("static-0",))
    assert not found.table.columns.str.startswith("to_best_").any()
    with pytest.raises(ValueError, match="best_of must name variants of the frame"):
        best_of(five, ["unsure"], "gone")
