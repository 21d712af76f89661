"""Spaces: what they propose, in which order, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

from bench.cli import main
from bench.space import Entry, read_space
from mtmm.settings import Problem
from tests.bench.search.test_search_command import SUITE


def read(space: dict[str, Any]) -> tuple[Entry, ...]:
    problems = list[Problem]()
    entries = read_space(space, ("search", "space"), problems)
    assert not problems
    return entries


def proposed(setting: str, value: Any, times: int, tasks: int = 2) -> list[Any]:
    (entry,) = read({setting: value})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [entry.propose(study.ask(), tasks) for _ in range(times)]


def test_ranges_keep_kind_bounds_and_steps() -> None:
    whole = proposed("model.width", {"low": 4, "high": 16, "step": 4}, 60)
    assert {type(value) for value in whole} == {int}
    assert set(whole) == {4, 8, 12, 16}
    shares = proposed("model.encoders.text.dropout", {"low": 0, "high": 0.3, "step": 0.1}, 60)
    assert sorted(set(shares)) == pytest.approx([0.0, 0.1, 0.2, 0.3])
    rates = proposed("train.optimizer.lr", {"low": 1e-4, "high": 1e-2, "log": True}, 400)
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    assert sum(rate < 1e-3 for rate in rates) == pytest.approx(200, abs=40)


def test_choices_come_back_as_they_were() -> None:
    choices = [{"name": "lowrank", "rank": 4}, "concat", None, 1, 1.0, True, [1, 2]]
    found = proposed("fusion", choices, 200)
    for choice in choices:
        assert any(value is choice for value in found)
    assert all(any(value is choice for choice in choices) for value in found)


@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_weights_are_spread_evenly_over_the_simplex(tasks: int) -> None:
    found = proposed("weighting.weights", {"simplex": True}, 500, tasks)
    for weights in found:
        assert len(weights) == tasks
        assert min(weights) > 0
        assert sum(weights) == pytest.approx(tasks)
    means = [sum(column) / len(found) for column in zip(*found, strict=True)]
    assert means == pytest.approx([1.0] * tasks, abs=0.12)
    # Of a flat Dirichlet distribution, any weight is below that of (1 - 1/2) ** (T - 1).
    middle = tasks * (1 - 0.5 ** (1 / (tasks - 1)))
    assert sum(weights[0] < middle for weights in found) == pytest.approx(250, abs=40)


def test_what_decides_about_a_setting_is_proposed_before_it() -> None:
    ranks = {"low": 2, "high": 4}
    space = {
        "fusion.rank": {**ranks, "when": {"fusion": "lowrank"}},
        "model.width": {**ranks, "when": {"weighting": "static"}},
        "fusion": {"choices": ["concat", "lowrank"], "when": {"sharing": "hard"}},
        "sharing": ["hard", "separate"],
        "train.epochs": ranks,
    }
    names = [entry.override.source[-1] for entry in read(space)]
    assert names.index("sharing") < names.index("fusion") < names.index("fusion.rank")
    assert set(names) == set(space)
    inner_first = read({"fusion.rank": ranks, "fusion": ["lowrank", "tensor"]})
    assert [entry.override.source[-1] for entry in inner_first] == ["fusion", "fusion.rank"]


RANGE = {"low": 4, "high": 8}


@pytest.mark.parametrize(
    ("space", "line", "message"),
    [
        ({"model.width": {"low": 4, "high": 4}}, "{", "must be below `high`; found 4 and 4"),
        ({"model.width": {**RANGE, "log": True, "step": 2}}, "step", "without `log`"),
        ({"model.width": {**RANGE, "step": 3}}, "high", "such as 7; found 8"),
        ({"model.width": {**RANGE, "step": 9}}, "high", "such as 13; found 8"),
        ({"train.optimizer.lr": {"low": 0.1, "high": 1, "step": 0.4}}, "high", "such as 0.9"),
        ({"model.width": {"low": 0.0, "high": 4.0, "log": True}}, "low", "found 0.0"),
        ({"model.width": {"low": -9, "high": 4}}, "{", "at least 1 and at most 65536; found"),
        ({"train.optimizer.lr": {"simplex": True}}, "{", "must be a number; found the list"),
        ({"weighting.weights": {"simplex": True, "low": 1}}, "{", "nothing beside it but `when`"),
        ({"model.width": 8}, "{", "found the whole number 8"),
        ({"model.width": {**RANGE, "when": {"fusoin": "film"}}}, "fusoin", "did you mean 'fusion'"),
        ({"weighting": ["equal", "static"]}, "{", "'weighting' of `search.each` tells the arms"),
        ({"fusion.rank": RANGE, "fusion": ["concat", "lowrank"]}, "{", "of fusion 'concat'"),
        (
            {
                "fusion": {"choices": ["sum", "concat"], "when": {"sharing": "hard"}},
                "sharing": {"choices": ["hard", "separate"], "when": {"fusion": "sum"}},
            },
            "when",
            "round in a circle: each of fusion, sharing waits for another",
        ),
    ],
)
def test_one_message_names_file_line_rule_and_value(
    space: dict[str, Any],
    line: str,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    suite = yaml.safe_load(SUITE.replace("timing: off", "timing: 'off'"))
    suite["search"]["space"] = space
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(suite, sort_keys=False), encoding="utf-8")
    lines = path.read_text(encoding="utf-8").splitlines()
    wanted = next(iter(space)) if line == "{" else line
    begin = lines.index("  space:")
    number = next(i for i, text in enumerate(lines, 1) if i > begin and f"{wanted}:" in text)
    assert main(["search", str(path), "--results", str(tmp_path / "results"), "-q"]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"{path}:{number}: search.space.{next(iter(space))}")
    assert message in told
    assert not (tmp_path / "results").exists()
