from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pandas as pd

from bench.compare import TO_BEST, Comparison
from bench.contrasts import Best
from bench.report.verdict import verdict

NAN = math.nan


def comparison(*rows: dict[str, Any], smallest: float = 0.034) -> Comparison:
    """Rows of name, verdict, difference and step ratio; the baseline goes before them."""
    plain = {"n": 6, "n_pairs": 6, "score": 0.5, "score_lo": 0.4, "score_hi": 0.6}
    plain |= {"t.accuracy": 0.5, "difference_lo": 0.01, "difference_hi": 0.02, "p_holm": 0.004}
    base = {"variant": "base", "verdict": "baseline", "difference": NAN, "p_holm": NAN, "ratio": 1}
    table = pd.DataFrame([plain | row for row in (base, *rows)])
    table["step_ratio"] = table.pop("ratio")
    table["step_ratio_lo"] = table["step_ratio"] - 0.5
    table["step_ratio_hi"] = table["step_ratio"] + 0.5
    for name, width in (("step_ms", 0.0), ("step_lo_ms", -0.1), ("step_hi_ms", 0.1)):
        table[name] = 10 * table["step_ratio"] + width
    return Comparison(
        table=table,
        baseline="base",
        best=Best(),
        primary={"t": "accuracy"},
        shares=frozenset({"accuracy"}),
        members=frozenset(table["variant"]),
        family=len(rows),
        smallest_detectable=smallest,
        batch_size=64,
    )


def row(name: str, word: str, difference: float, ratio: float = 2.0) -> dict[str, Any]:
    return {"variant": name, "verdict": word, "difference": difference, "ratio": ratio}


SAME = "not distinguishable"


def test_the_best_of_several_is_told_and_the_rest_counted() -> None:
    first, second = verdict(
        comparison(
            row("a", "better", 0.012),
            row("b", "better", 0.051, 3.0),
            row("c", "worse", -0.2, 0.5),
            row("d", SAME, 0.06),
            row("e", SAME, 0.0),
        )
    )
    assert first == (
        "b is better than the baseline base by 5.1 points of score [+1.0, +2.0] (Holm-adjusted "
        "p = 0.004, n = 6); of the 4 others 1 is better, 1 worse and 2 not distinguishable."
    )
    assert second == (
        "Its step takes 3.00 [2.50, 3.50] times that of the baseline (30.0 ms against 10.0 ms at "
        "batch size 64); none of the 6 variants timed on the baseline's tasks is dominated in "
        "score and step time."
    )


def test_nothing_distinguishable_comes_with_the_smallest_effect_it_could_have_found() -> None:
    first, second = verdict(comparison(row("a", SAME, 0.01), row("b", SAME, -0.01)))
    assert first == (
        "No variant is distinguishable from the baseline base (2 tests, n = 6); the smallest true "
        "difference that would have been found with probability 0.8 is 3.4 points."
    )
    assert second.startswith(
        "A step of a, which has the largest mean difference of those tested, takes "
        "2.00 [1.50, 2.50] times that of the baseline"
    )


def test_only_worse() -> None:
    first, second = verdict(comparison(row("a", "worse", -0.03), row("b", SAME, -0.01)))
    assert first == (
        "No variant is better than the baseline; a is worse than the baseline base by 3.0 points "
        "of score [+1.0, +2.0] (Holm-adjusted p = 0.004, n = 6); the other one is not "
        "distinguishable; the smallest true difference that would have been found with "
        "probability 0.8 is 3.4 points."
    )
    assert second.startswith(
        "No tested variant has a mean difference above zero; a step of the baseline takes 10.0 ms"
    )


def test_of_a_variant_that_is_not_tested_nothing_is_claimed() -> None:
    alone = row("alone", "", 0.4) | {"p_holm": NAN, "n": 1, "n_pairs": 1, "score": 0.9}
    _, second = verdict(comparison(row("a", SAME, -0.01), alone))
    assert second.startswith("No tested variant has a mean difference above zero")


def test_the_front_is_named_where_some_are_dominated() -> None:
    slow = row("slow", SAME, -0.1, 9.0) | {"score": 0.1, "score_lo": 0.0, "score_hi": 0.2}
    _, second = verdict(comparison(row("a", "better", 0.1), slow))
    assert second.endswith(
        "; of the 3 variants timed on the baseline's tasks base and a are on the Pareto front."
    )


def test_one_seed_says_that_nothing_is_tested() -> None:
    alone = row("a", "", 0.1) | {"p_holm": NAN, "n": 1, "n_pairs": 1}
    first, second = verdict(comparison(alone, smallest=NAN))
    assert first == (
        "Nothing is tested against the baseline base: no variant shares two finished seeds with "
        "it (n = 1 to 6)."
    )
    assert second == (
        "A step of the baseline takes 10.0 ms at batch size 64, that of the variant timed beside "
        "it 2.00 times that."
    )


def test_what_was_timed_is_told_where_nothing_is_tested() -> None:
    untested = {"p_holm": NAN, "n": 1, "n_pairs": 1}
    rows = [row("a", "", 0.1) | untested, row("b", "", 0.1, 0.5) | untested]
    _, second = verdict(comparison(*rows, smallest=NAN))
    assert second.endswith("those of the 2 variants timed beside it 0.50 to 2.00 times that.")
    lost = comparison(*({**row, "t.accuracy": NAN, "score": NAN} for row in rows))
    lost.table[["t.accuracy", "score"]] = NAN  # of the baseline too: it failed
    assert verdict(lost)[1].endswith("timed beside it 0.50 to 2.00 times that.")


def test_the_best_need_not_be_timed() -> None:
    untimed = row("a", SAME, 0.1, NAN)
    _, second = verdict(comparison(untimed, row("b", SAME, 0.0)))
    assert second.startswith(
        "A step of a, which has the largest mean difference of those tested, was not timed beside "
    )


def test_without_timing_the_cost_is_not_known() -> None:
    made = comparison(row("a", "better", 0.1))
    made.table["step_ratio"] = NAN
    assert verdict(made)[1].startswith("Nothing was timed")


def against_best(made: Comparison, *told: tuple[str, float], **more: Any) -> Comparison:
    """The comparison with a second comparator, `b`: verdict and difference of each row to it."""
    verdicts, differences = zip(*told, strict=True)
    made.table[f"{TO_BEST}verdict"] = verdicts
    made.table[f"{TO_BEST}difference"] = differences
    made.table[f"{TO_BEST}p_holm"] = [
        NAN if word in ("", "best on val") else 0.01 for word, _ in told
    ]
    for name, value in (("difference_lo", 0.03), ("difference_hi", 0.04), ("n_pairs", 5)):
        made.table[f"{TO_BEST}{name}"] = value
    best = Best(candidates=("b", "c"), variant="b", val_score=0.5)
    return replace(made, best=best, **more)


def test_the_second_comparator_has_a_sentence_of_its_own() -> None:
    made = comparison(row("a", "better", 0.012), row("b", SAME, 0.01))
    first, second, third = verdict(
        against_best(made, ("worse", -0.1), (SAME, 0.002), ("best on val", NAN))
    )
    assert first.startswith(
        "a is better than the baseline base by 1.2 points of score [+1.0, +2.0]"
    )
    assert second == (
        "No variant is better than the best on val; base is worse than the best-on-val b by 10.0 "
        "points of score [+3.0, +4.0] (Holm-adjusted p = 0.010, n = 5); the other one is not "
        "distinguishable; the smallest true difference that would have been found with probability "
        "0.8 is 3.4 points."
    )
    assert third.startswith("Its step takes")


def test_what_the_family_could_have_found_is_told_once() -> None:
    made = comparison(row("a", SAME, 0.012), row("b", SAME, 0.01))
    first, second, _ = verdict(against_best(made, (SAME, 0.0), (SAME, 0.0), ("best on val", NAN)))
    assert first.endswith("is 3.4 points.")
    assert second == "No variant is distinguishable from the best-on-val b (2 tests, n = 5)."


def test_a_comparator_that_nobody_was_to_be_tested_against_has_no_sentence() -> None:
    made = comparison(row("b", "", 0.012) | {"p_holm": NAN})
    made = against_best(made, ("worse", -0.1), ("best on val", NAN), members=frozenset({"base"}))
    first, _ = verdict(made)
    assert "base is worse than the best-on-val b" in first
    # The best may be the baseline itself: one comparator, and what is said of it stays.
    best = replace(made.best, variant="base")
    assert verdict(replace(made, best=best))[0].startswith("Nothing is tested against the baseline")
