from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
import pytest

from bench.contrasts import choose_best, contrasts
from bench.statistics import holm, paired_difference, smallest_detectable

BASE = (0.50, 0.60, 0.70)
STATIC = (0.52, 0.63, 0.71)
METHOD = (0.61, 0.70, 0.82)
SCORES = {"base": BASE, "static": STATIC, "method": METHOD}


def runs(scores: Mapping[str, tuple[float, ...]]) -> dict[str, pd.DataFrame]:
    """Finished cells by seed; the score on val is the negative of that on test."""
    return {
        name: pd.DataFrame({"test.score": test, "val.score": [-x for x in test]})
        for name, test in scores.items()
    }


def p_of(first: str, second: str) -> float:
    return paired_difference(SCORES[first], SCORES[second]).p


def test_holm_counts_the_contrasts_with_all_comparators_together() -> None:
    found = contrasts(runs(SCORES), ["base", "static"], ["base", "method"], [])
    assert found.tests == (("method", "base"), ("base", "static"), ("method", "static"))
    adjusted = holm([p_of(*test) for test in found.tests])
    assert found.p_holm == pytest.approx(dict(zip(found.tests, adjusted, strict=True)))
    assert adjusted[0] > p_of("method", "base")


def test_a_row_says_what_a_variant_is_to_its_comparator() -> None:
    found = contrasts(runs(SCORES), ["base", "static"], ["base", "method"], [])
    row = found.row("method", "static", "best on val")
    assert row["difference"] == pytest.approx(0.09)
    assert row["verdict"] == "better"
    assert row["n_pairs"] == 3
    itself = found.row("static", "static", "best on val")
    assert (itself["verdict"], itself["n_pairs"]) == ("best on val", 0)
    outside = found.row("static", "base", "baseline")
    assert outside["verdict"] == ""
    assert outside["difference"] == pytest.approx(0.02)
    assert math.isnan(float(str(outside["p_holm"])))


def test_two_comparators_against_each_other_are_one_test() -> None:
    found = contrasts(runs(SCORES), ["base", "static"], list(SCORES), [])
    assert found.tests == (("static", "base"), ("method", "base"), ("method", "static"))
    one, other = (found.row(*pair, "") for pair in (("static", "base"), ("base", "static")))
    assert one["p_holm"] == other["p_holm"]
    assert one["difference"] == -float(str(other["difference"]))
    assert {one["verdict"], other["verdict"]} == {"not distinguishable"}
    # Out of the family a variant has no verdict, whoever is tested against it.
    found = contrasts(runs(SCORES), ["base", "static"], ["static", "method"], [])
    assert found.row("base", "static", "")["verdict"] == ""


def test_the_smallest_detectable_difference_is_that_of_all_tests() -> None:
    found = contrasts(runs(SCORES), ["base", "static"], ["method"], [])
    sds = [paired_difference(METHOD, other).sd for other in (BASE, STATIC)]
    expected = sum(smallest_detectable(sd, 3, 0.05 / 2) for sd in sds) / 2
    assert found.smallest_detectable() == pytest.approx(expected)
    assert math.isnan(contrasts(runs(SCORES), ["base"], [], []).smallest_detectable())


def test_the_best_is_chosen_on_val() -> None:
    # On val the order is the other way round.
    best = choose_best(runs(SCORES), ["method", "static"])
    assert (best.variant, best.candidates) == ("static", ("method", "static"))
    assert best.val_score == pytest.approx(-0.62)


def test_the_best_is_chosen_over_the_seeds_that_finished() -> None:
    some = runs({"a": (0.5, 0.5), "b": (0.3, 0.9), "c": ()})
    assert choose_best(some, ["a", "b", "c"]).variant == "a"
    some["b"] = some["b"].iloc[:1]
    assert choose_best(some, ["a", "b", "c"]).variant == "b"


def test_of_equals_the_first_is_chosen() -> None:
    same = runs({"a": (0.5, 0.7), "b": (0.7, 0.5)})
    assert choose_best(same, ["b", "a"]).variant == "b"
    assert choose_best(same, ["a", "b"]).variant == "a"


@pytest.mark.parametrize("candidates", [[], ["a"]])
def test_no_best_where_none_is_wanted_or_none_has_a_score_on_val(candidates: list[str]) -> None:
    best = choose_best({"a": pd.DataFrame({"test.score": [0.5]})}, candidates)
    assert (best.variant, list(best.candidates)) == (None, candidates)
    assert math.isnan(best.val_score)
