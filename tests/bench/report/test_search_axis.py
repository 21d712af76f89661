from __future__ import annotations

import itertools
import math

import pytest

from bench.report.figures.search_axis import (
    axis_of,
    brief,
    choice_text,
    is_wide,
    number_axis,
    number_text,
    number_texts,
)
from bench.report.search import Setting


def test_ranges_have_their_ends_at_the_ends_on_their_own_scale() -> None:
    log = axis_of(Setting("lr", 1e-4, 1e-2, log=True), [1e-3])
    assert [log.place(x) for x in (1e-4, 1e-3, 1e-2)] == pytest.approx([0, 0.5, 1])
    assert log.ticks == [(0, "0.0001"), (pytest.approx(0.5), "0.001"), (1, "0.01")]
    plain = axis_of(Setting("width", 0, 64), [16])
    assert [plain.place(x) for x in (0, 16, 64)] == [0, 0.25, 1]
    assert math.isnan(log.place(0))
    assert math.isnan(log.place(None))
    assert math.isnan(plain.place("text"))


def test_ticks_stand_apart_and_none_is_written_twice() -> None:
    for low, high in ((0, 1), (72914, 72930), (5e-4, 2e-2), (-3, 1e6), (0.1, 0.1000001)):
        for log in (False, True):
            axis = number_axis([low, high], log=log)
            places = [place for place, _ in axis.ticks]
            assert places[0] == 0
            assert places[-1] == 1
            assert min(b - a for a, b in itertools.pairwise(places)) > 0.15
            texts = [text for _, text in axis.ticks]
            assert len(set(texts)) == len(texts)


def test_of_one_value_there_is_one_tick_in_the_middle() -> None:
    for log in (False, True):
        axis = number_axis([72914.0, 72914.0], log=log)
        assert axis.ticks == [(0.5, "72.9k")]
        assert axis.place(72914.0) == 0.5


def test_numbers_are_short_and_told_apart() -> None:
    numbers = (0, 950.4, 9999, 12345, 2e6, 3.45e9, 1.5e-5, -0.25, 1e13)
    assert [number_text(x) for x in numbers] == [
        *("0", "950", "10k", "12.3k", "2M", "3.45G", "1.5e-5", "-0.25", "1e13"),
    ]
    assert number_texts([72914, 72930]) == ["72.91k", "72.93k"]
    assert number_texts([1, 1]) == ["1", "1"]


def test_choices_have_places_in_their_order_and_those_not_in_the_space_come_after() -> None:
    axis = axis_of(Setting("f", choices=('"a"', '"b"')), ['"b"', '"c"', 2.0])
    assert [axis.place(text) for text in ('"a"', '"b"', '"c"')] == [0, 0.5, 1]
    assert [text for _, text in axis.ticks] == ["a", "b", "c"]
    assert math.isnan(axis.place(2.0))
    assert choice_text('{"name": "film", "bias": true}') == "film (bias true)"
    assert choice_text("no json\n") == "no json"


def test_names_are_told_by_their_last_parts() -> None:
    names = ["train.optimizer.lr", "weighting.lr", "model.a.b.c", "model.x.b.c", "fusion"]
    assert list(brief(names).values()) == [
        *("optimizer.lr", "weighting.lr", "a.b.c", "x.b.c", "fusion"),
    ]


def test_only_positive_numbers_that_are_far_apart_are_wide() -> None:
    assert is_wide([1, math.nan, 31], share=False)
    assert not is_wide([1, 29], share=False)
    assert not is_wide([0, 31], share=False)
    assert not is_wide([math.nan], share=False)
    assert not is_wide([0.01, 99.0], share=True)
