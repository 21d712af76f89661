from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from bench.compare import Comparison
from bench.contrasts import Best
from bench.report.pareto import costed, envelope, on_front

NAN = math.nan


def rows(**variants: tuple[tuple[float, float], tuple[float, float]]) -> pd.DataFrame:
    """Variants by their intervals of score and of step time."""
    return pd.DataFrame(
        {
            "variant": name,
            "score": sum(score) / 2,
            "score_lo": score[0],
            "score_hi": score[1],
            "step_ms": sum(time) / 2,
            "step_lo_ms": time[0],
            "step_hi_ms": time[1],
        }
        for name, (score, time) in variants.items()
    )


BEST = ((0.6, 0.7), (1.0, 2.0))


@pytest.mark.parametrize(
    ("other", "front"),
    [
        (((0.4, 0.5), (3.0, 4.0)), False),  # apart in both
        (((0.4, 0.65), (3.0, 4.0)), True),  # scores overlap
        (((0.4, 0.5), (1.5, 4.0)), True),  # times overlap
        (((0.4, 0.6), (3.0, 4.0)), True),  # scores touch
        (((0.4, 0.5), (2.0, 4.0)), True),  # times touch
        (((0.4, 0.5), (0.1, 0.2)), True),  # worse but cheaper
        (((0.8, 0.9), (3.0, 4.0)), True),  # dearer but better
        (((0.4, NAN), (3.0, 4.0)), True),  # no interval
        (((0.4, 0.5), (NAN, NAN)), True),
    ],
)
def test_dominated_only_where_the_intervals_are_apart_in_both_directions(
    other: Any, front: bool
) -> None:
    assert list(on_front(rows(best=BEST, other=other))) == [True, front]
    assert list(on_front(rows(other=other, best=BEST))) == [front, True]


def test_a_variant_without_an_interval_dominates_nobody() -> None:
    table = rows(best=((NAN, NAN), (1.0, 2.0)), other=((0.1, 0.2), (3.0, 4.0)))
    assert on_front(table).all()


def test_one_is_enough_to_be_dominated_and_rows_keep_their_index() -> None:
    table = rows(a=((0.1, 0.2), (5.0, 6.0)), b=BEST, c=((0.3, 0.4), (7.0, 8.0)))
    found = on_front(table.iloc[[2, 0, 1]])
    assert found.to_dict() == {2: False, 0: False, 1: True}


def test_the_envelope_rises_with_the_step_time() -> None:
    def at(score: float, time: float) -> tuple[tuple[float, float], tuple[float, float]]:
        return (score, score), (time, time)

    table = rows(
        d=at(0.5, 4.0), a=at(0.2, 1.0), b=at(0.1, 2.0), c=at(0.3, 3.0), e=at(0.4, 4.0), f=at(0.5, 5)
    )
    found = envelope(table)
    assert found.to_numpy().tolist() == [[1.0, 0.2], [3.0, 0.3], [4.0, 0.5]]


def test_only_what_is_comparable_can_be_on_a_front() -> None:
    known = {"score": 0.5, "t.accuracy": 0.5, "u.accuracy": 0.5, "step_ratio": 1.0}
    table = pd.DataFrame(
        [
            {"variant": "base", **known},
            {"variant": "like it", **known},
            {"variant": "untimed", **known, "step_ratio": NAN},
            {"variant": "failed", **known, "score": NAN},
            {"variant": "fewer tasks", **known, "u.accuracy": NAN},
        ]
    )
    comparison = Comparison(
        table=table,
        baseline="base",
        best=Best(),
        primary={"t": "accuracy", "u": "accuracy"},
        shares=frozenset(),
        members=frozenset(table["variant"]),
        family=1,
        smallest_detectable=NAN,
        batch_size=64,
    )
    assert list(costed(comparison)["variant"]) == ["base", "like it"]
