from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.profiling.nesting import parents


def _parents(*spans: tuple[float, float]) -> list[int]:
    return parents([0] * len(spans), [start for start, _ in spans], [end for _, end in spans])


def test_the_innermost_event_around_is_the_parent() -> None:
    assert _parents((0, 100), (10, 50), (20, 30), (60, 70), (200, 210)) == [-1, 0, 1, 0, -1]


def test_threads_do_not_mix() -> None:
    assert parents(["a", "b", "a"], [0, 1, 2], [10, 9, 8]) == [-1, -1, 0]


def test_of_equal_starts_the_first_is_the_outer_one() -> None:
    assert _parents((0, 100), (0, 100), (0, 40), (40, 40)) == [-1, 0, 1, 2]


@pytest.mark.parametrize("end", [30.0, 30.4])
def test_an_inner_event_may_end_a_little_late(end: float) -> None:
    assert _parents((0, 100), (10, 30), (20, end)) == [-1, 0, 1]


@pytest.mark.parametrize("start", [30.0, 29.6])
def test_neighbours_may_overlap_a_little(start: float) -> None:
    assert _parents((0, 100), (10, 30), (start, 60), (start + 1, 40)) == [-1, 0, 0, 2]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=30))
def test_a_parent_comes_before_and_covers_half(spans: list[tuple[int, int]]) -> None:
    ordered = sorted(((a, a + b) for a, b in spans), key=lambda span: (span[0], -span[1]))
    for (start, end), parent in zip(ordered, _parents(*ordered), strict=True):
        if parent >= 0:
            assert ordered[parent] <= (start, end) or ordered[parent][0] == start
            assert ordered[parent][1] >= (start + end) / 2
