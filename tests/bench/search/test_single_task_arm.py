"""Single-task training is an arm like any other: as many trials, and tuned as well."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pandas as pd
import pytest
from optuna.trial import FrozenTrial

import bench
from bench.cli import main
from tests.bench.search.test_search_command import trials_of

TRIALS = 6
SUITE = f"""
name: tiny
dataset: {{name: glyphs, limit: 200}}
tasks: [script, slant]
modalities: [image]
model: {{encoders: {{image: lenet}}, width: 8}}
train: {{epochs: 1, batch_size: 64}}
sweep: [{{sharing: [hard, separate]}}]
seeds: 2
baseline: {{sharing: separate}}
timing: off
search:
  space:
    train.optimizer.lr: {{low: 1.0e-3, high: 1.0e-1, log: true}}
    weighting: {{choices: [static, uncertainty], when: {{sharing: hard}}}}
    weighting.weights: {{simplex: true, when: {{weighting: static}}}}
  each: [sharing]
  sampler: random
  trials: {TRIALS}
"""


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    (folder / "tiny.yaml").write_text(SUITE, encoding="utf-8")
    given = ["search", str(folder / "tiny.yaml"), "--results", str(folder / "results"), "-q"]
    assert main([*given, "--workers", "0", "--device", "cpu"]) == 0
    return folder


@pytest.fixture(scope="module")
def trials(searched: Path) -> dict[str, list[FrozenTrial]]:
    return trials_of(searched)


def test_both_have_as_many_trials(trials: dict[str, list[FrozenTrial]]) -> None:
    assert set(trials) == {"hard", "separate"}
    for of_arm in trials.values():
        assert [trial.state for trial in of_arm] == [optuna.trial.TrialState.COMPLETE] * TRIALS


def test_weightings_are_proposed_where_tasks_share(trials: dict[str, list[FrozenTrial]]) -> None:
    rate = {"train.optimizer.lr"}
    weights = {"weighting.weights[0]", "weighting.weights[1]"}
    assert {frozenset(trial.params) for trial in trials["separate"]} == {frozenset(rate)}
    assert {frozenset(trial.params) for trial in trials["hard"]} == {
        frozenset(rate | {"weighting"}),
        frozenset(rate | {"weighting"} | weights),
    }


def test_the_tuned_arms_are_compared(searched: Path, trials: dict[str, list[FrozenTrial]]) -> None:
    folder = searched / "results" / "tiny-tuned"
    frame = bench.load(folder)
    for arm, of_arm in trials.items():
        best = max(of_arm, key=lambda trial: float(trial.value or 0.0))
        rows = frame[frame["variant"] == f"{arm}-tuned"]
        assert list(rows["seed"]) == [0, 1]
        assert set(rows["config.model.sharing.name"]) == {arm}
        (rate,) = set(rows["config.train.optimizer.lr"])
        assert rate == pytest.approx(best.params["train.optimizer.lr"])
    table = pd.read_csv(folder / "comparison.csv", index_col="variant")
    assert table["verdict"]["separate-tuned"] == "baseline"
    means = frame.groupby("variant")["test.score"].mean()
    assert table["difference"]["hard-tuned"] == pytest.approx(
        means["hard-tuned"] - means["separate-tuned"]
    )
    budgets = (folder / "tuned.md").read_text(encoding="utf-8")
    assert f"| hard | {TRIALS} |" in budgets
    assert f"| separate | {TRIALS} |" in budgets
    assert "not trained on equally many samples" not in budgets


def test_delta_m_of_a_tuned_arm_is_against_the_tuned_single_task_arm(searched: Path) -> None:
    folder = searched / "results" / "tiny-tuned"
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["single_task"] == {"hard": "separate", "hard-tuned": "separate-tuned"}
    table = pd.read_csv(folder / "comparison.csv", index_col="variant")
    score = bench.load(folder).groupby("variant")["test.script.accuracy"].mean()
    gain = score["hard-tuned"] - score["separate-tuned"]
    assert table["gain.script"]["hard-tuned"] == pytest.approx(gain)
