"""A planted optimum: the sampler finds it with fewer trials than chance does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from bench.search import trial as trials
from tests.bench.search.planted import Quiet, study, training

BEST_RATE, BEST_WIDTH = 3e-3, 96
TRIALS, SEEDS = 25, 10
SPACE = {
    "train.optimizer.lr": {"low": 1e-5, "high": 1.0, "log": True},
    "model.width": {"low": 1, "high": 256},
}


def score(config: Mapping[str, Any]) -> float:
    """1 at the planted optimum, and less the further from it."""
    decades = math.log10(float(config["train"]["optimizer"]["lr"]) / BEST_RATE)
    return 1 - (decades / 5) ** 2 - ((int(config["model"]["width"]) - BEST_WIDTH) / 256) ** 2


def regret(folder: Path, sampler: str, seed: int) -> float:
    """How far the best of a study is below the planted optimum."""
    one = study(folder, space=SPACE, trials=TRIALS, sampler=sampler, seed=seed)
    one.work(Quiet())
    assert [trial.state.name for trial in one.study.trials] == ["COMPLETE"] * TRIALS
    (chosen,) = one.front()
    config = one.configuration(chosen)
    assert score(config) == chosen.value
    return 1 - score(config)


def test_median_regret_is_below_that_of_random_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "Training", training(score))
    tpe = [regret(tmp_path, "tpe", seed) for seed in range(SEEDS)]
    random = [regret(tmp_path, "random", seed) for seed in range(SEEDS)]
    assert median(tpe) < median(random)
