"""The chosen configuration keeps its constraints, and costs are measured for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from bench.cli import main
from bench.search import trial as trials
from bench.search.history import history
from tests.bench.search.planted import Quiet, study, training
from tests.conftest import SUITE

SPACE = {"model.width": {"low": 4, "high": 64}}


@pytest.mark.parametrize("sampler", ["tpe", "gp", "nsga2", "random", "grid"])
def test_the_best_within_the_bounds_is_chosen_though_others_score_more(
    sampler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "Training", training(lambda c: c["model"]["width"] / 100))
    bounds = {"params": {"max": 30, "min": 8}}
    one = study(tmp_path, space=SPACE, sampler=sampler, constraints=bounds, trials=30)
    one.work(Quiet())
    widths = [trial.params["model.width"] for trial in one.study.trials]
    within = [width for width in widths if 8 <= width <= 30]
    assert len(within) < len(widths)
    assert one.front()[0].params["model.width"] == max(within)
    told = history("planted", one.search, [one])
    for trial in told["arms"][0]["trials"]:
        assert trial["feasible"] == (8 <= trial["params"]["model.width"] <= 30)
        assert trial["columns"]["params"] == trial["params"]["model.width"]


def test_without_a_trial_within_the_bounds_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "Training", training(lambda _: 0.5))
    one = study(tmp_path, space=SPACE, constraints={"val.score": {"min": 0.6}}, trials=4)
    one.work(Quiet())
    assert [trial.state.name for trial in one.study.trials] == ["COMPLETE"] * 4
    assert one.front() == []


def test_a_search_that_bounds_costs_times_once_what_costs_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = {
        **SUITE,
        "seeds": [0, 1],
        "timing": {"budget_s": 1.0, "modes": ["train"]},
        "search": {
            "space": {"train.optimizer.lr": [0.001, 0.002]},
            "constraints": {
                "step_ms": {"max": 1e6},
                "flops": {"max": 1e12},
                "inference_ms": {"max": 1e6},
            },
            "sampler": "grid",
        },
    }
    path, results = tmp_path / "small.yaml", tmp_path / "results"
    path.write_text(yaml.safe_dump(suite), encoding="utf-8")
    assert main(["search", str(path), "--results", str(results), "--device", "cpu", "-q"]) == 0
    name = str(SUITE["name"])
    told = json.loads((results / f"{name}-tuned" / "search.json").read_text(encoding="utf-8"))
    made = told["arms"][0]["trials"]
    assert len(made) == 2
    # A rate changes no cost: one timing for both trials, in each of two modes.
    first, second = (trial["columns"] for trial in made)
    assert {**first, "val.score": 0} == {**second, "val.score": 0}
    assert 0 < first["inference_ms"] < first["step_ms"]
    records = [json.loads(file.read_text()) for file in (results / "cells").glob("*.json")]
    timed = {one["mode"]: one for one in records if one["kind"] == "time"}
    assert first["flops"] == timed["train"]["cost"]["flops"] > timed["inference"]["cost"]["flops"]
    assert "step_ms of at most 1e+06" in capsys.readouterr().out
