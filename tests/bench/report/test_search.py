"""The file of a search: what is read of it, and that nothing in it stops a report."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest

from bench.report.search import SearchRecord, Unreadable, read_search
from tests.bench.report.searches import FUSION, LR, ONE, several, write_search


def read(folder: Path, search: object, *shares: str) -> SearchRecord:
    found = read_search(write_search(folder, search), shares)
    assert isinstance(found, SearchRecord)
    return found


def test_a_suite_without_a_search_has_none(tmp_path: Path) -> None:
    assert read_search(tmp_path) is None


def test_what_the_file_says_is_read(tmp_path: Path) -> None:
    search = read(tmp_path, ONE)
    hard, cross = search.studies
    assert (hard.label, hard.chosen, hard.front) == ("hard-tuned", 6, (6,))
    assert hard.importance == {LR: 0.8, FUSION: 0.2}
    states = ["complete"] * 3 + ["pruned"] * 2 + ["failed", "complete", "running"]
    assert [trial.state for trial in hard.trials] == states
    assert [trial.feasible for trial in hard.trials] == [i not in (2, 7) for i in range(8)]
    assert math.isnan(hard.trials[4].values[0])
    assert cross.trials[1].params == {"model.width": 64.0}
    assert search.space[0].log
    assert search.space[1].choices == ('"concat"', '{"bias": true, "name": "gated"}')


def test_how_it_was_searched_is_one_text(tmp_path: Path) -> None:
    told = read(tmp_path, ONE).told
    assert told == (
        "8 trials for each arm, each the mean over 2 seeds, proposed by tpe and pruned by "
        "hyperband. Searched for: val.score (maximized). Within: step_ms ≤ 5."
    )
    bounds = [{"name": "val.script.accuracy", "min": 0.5}, {"name": "step_ms", "min": 1, "max": 2}]
    plain = read(
        tmp_path, {**ONE, "trials_asked": 1, "seeds": 1, "pruner": None, "constraints": bounds}
    )
    assert plain.told.startswith("1 trial for each arm, proposed by tpe. ")
    assert plain.told.endswith("Within: val.script.accuracy ≥ 0.5; step_ms ≥ 1 and ≤ 2.")


def test_shares_are_shown_in_percent_and_costs_in_their_units(tmp_path: Path) -> None:
    names = ("val.score", "val.script.accuracy", "val.height.rmse", "step_ms", "peak_mib", "params")
    given = several(*((name, "minimize") for name in names), values=[[1.0] * 6])
    objectives = read(tmp_path, given, "accuracy").objectives
    assert [one.label for one in objectives] == [
        *("val.score, %", "val.script.accuracy, %", "val.height.rmse"),
        *("step, ms", "peak, MiB", "params"),
    ]
    assert [one.shown(0.5) for one in objectives] == [50, 50, 0.5, 0.5, 0.5, 0.5]


def _changed(*path: Any, to: Any) -> dict[str, Any]:
    made = copy.deepcopy(ONE)
    inner: Any = made
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = to
    return made


FIRST = ("arms", 0, "trials", 0)


@pytest.mark.parametrize(
    ("search", "reason"),
    [
        (_changed("schema_version", to=2), "has version 2, this report knows 1"),
        ({"schema_version": 1}, "lacks 'objectives'"),
        ({}, "lacks 'schema_version'"),
        ([], "cannot be understood"),
        (None, "cannot be understood"),
        (_changed("objectives", to=[]), "no objective"),
        (_changed("objectives", 0, "direction", to="up"), "the direction 'up'"),
        (_changed(*FIRST, "state", to="lost"), "a trial is 'lost'"),
        (_changed(*FIRST, "state", to=[]), "a trial is"),
        (_changed(*FIRST, "values", to=[0.1, 0.2]), "2 values for 1 objectives"),
        (_changed(*FIRST, "values", to=["x"]), "'x' is no number"),
        (_changed(*FIRST, "values", to=[math.nan]), "'NaN' is no number"),
        (_changed(*FIRST, "values", to=[10**400]), "is no number"),
        (_changed(*FIRST, "params", to=3), "cannot be understood"),
        (_changed("arms", 0, "importance", LR, to=None), "'None' is no number"),
        (_changed("space", 0, "low", to="<b>\n"), "'<b> ' is no number"),
        (_changed("arms", to=7), "cannot be understood"),
    ],
)
def test_what_is_no_search_says_why(tmp_path: Path, search: object, reason: str) -> None:
    found = read_search(write_search(tmp_path, search))
    assert isinstance(found, Unreadable)
    assert reason in found.reason
    assert "\n" not in found.reason


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff", b"[" * 100_000, b'{"schema_version": 1e999}'], ids=range(5)
)
def test_a_file_that_is_cut_off_or_no_text_says_so(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "search.json").write_bytes(text)
    assert isinstance(read_search(tmp_path), Unreadable)


def test_a_folder_in_its_place_says_so(tmp_path: Path) -> None:
    (tmp_path / "search.json").mkdir()
    found = read_search(tmp_path)
    assert isinstance(found, Unreadable)
    assert "cannot be read" in found.reason


def test_any_part_that_is_lacking_stops_nothing(tmp_path: Path) -> None:
    def without(value: Any) -> list[Any]:
        """The value with each of its parts, however deep, left out once."""
        keys = list(value) if isinstance(value, dict) else range(len(value))
        found = []
        for key in keys:
            rest = copy.deepcopy(value)
            del rest[key]
            found.append(rest)
            if isinstance(value[key], dict | list):
                found += [_put(value, key, inner) for inner in without(value[key])]
        return found

    cases = without({**ONE, "arms": ONE["arms"][:1]})
    assert len(cases) > 100
    for case in cases:
        assert read_search(write_search(tmp_path, case)) is not None


def _put(value: Any, key: Any, inner: Any) -> Any:
    made = copy.copy(value)
    made[key] = inner
    return json.loads(json.dumps(made))
