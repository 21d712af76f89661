from __future__ import annotations

from typing import Any

from bench.report.environments import Difference, differences, environments
from bench.report.frame import load_results
from bench.store import write_json

TORCH = {"packages": {"torch": "2.1", "numpy": "2.0"}}


def test_identity_and_state_are_told_apart() -> None:
    a = {"identity": {**TORCH, "cpu": "x"}, "state": {"load": 0.51234, "git": {"commit": "a1"}}}
    b = {"identity": {"packages": {"torch": "2.2", "numpy": "2.0"}, "cpu": "x", "driver": "5"}}
    b["state"] = {"load": 3.0, "git": {"commit": "a1"}}  # type: ignore[dict-item]
    identity, state = differences([a], [b])
    assert identity == [
        Difference("packages.torch", "2.1", "2.2"),
        Difference("driver", "not there", "5"),
    ]
    assert state == [Difference("load", "0.5123", "3")]
    assert differences([a, a], [a]) == ([], [])


def test_several_environments_of_a_run_are_told_together() -> None:
    identity, _ = differences([{"identity": {"cpu": name}} for name in "yx"], [{"identity": {}}])
    assert identity == [Difference("cpu", "x or y", "not there")]


def test_older_descriptions_have_one_level() -> None:
    older = {"cpu": "x", "git": {"commit": "a1", "dirty": False}}
    identity, state = differences([older], [{**older, "cpu": "y", "git": {"commit": "b2"}}])
    assert identity == [Difference("cpu", "x", "y")]
    assert [difference.name for difference in state] == ["git.commit", "git.dirty"]
    newer = {"identity": {"cpu": "x"}, "state": {"git": {"commit": "a1", "dirty": False}}}
    assert differences([older], [newer]) == ([], [])


def test_environments_are_those_that_records_name(results: Any) -> None:
    results.add("a", [0.4, 0.5])
    found = load_results(results.write())
    assert list(environments(found)) == ["e1"]
    assert "cannot be read" in environments(found)["e1"]["description"]
    write_json(results.root / "environments" / "e1.json", {"identity": TORCH})
    assert environments(found) == {"e1": {"identity": TORCH}}
