"""Studies whose training is replaced by a formula: all else is the code of any search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import torch

from bench.cell import TrainCell
from bench.execution.run import Options, Run
from bench.progress import Stage
from bench.search.arms import plan_arms
from bench.search.study import ArmStudy
from bench.store import Store
from bench.suite import load_suite
from tests.conftest import SUITE

Score = Callable[[Mapping[str, Any]], float | str]
"""What training comes to: a score on val, or the status of a cell without one."""


def training(score: Score) -> type:
    """What stands in for `bench.search.study.Training`."""

    class Planted:
        def __init__(self, run: Run, labels: Mapping[str, str], stage: Stage) -> None:
            self._store = run.store

        def train(self, cells: Sequence[TrainCell]) -> None:
            for cell in cells:
                self._store.write(cell.id, _record(cell, score(cell.config)))

    return Planted


def _record(cell: TrainCell, found: float | str) -> dict[str, Any]:
    status = found if isinstance(found, str) else "ok"
    record = {"kind": "train", "status": status, "config": cell.config, "samples": 64}
    if isinstance(found, str):
        return {**record, "reason": "as planted"}
    numbers = {"seconds": 0.0, "steps": 1, "params": 1, "epochs": {"run": 1}, "curve": []}
    scores = {"scores": {"val": found, "test": None}, "task_scores": {"val": {}, "test": {}}}
    return {**record, "reason": "", **numbers, "val": {}, "test": {}, **scores}


def study(folder: Path, **search: Any) -> ArmStudy:
    """The study of the only arm, in memory; its records are in `folder`."""
    asked, arms = plan_arms(load_suite({**SUITE, "search": search}))
    (arm,) = arms.variants
    run = Run(Store(folder), Options(devices=(torch.device("cpu"),)), "none", folder)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.InMemoryStorage()
    return ArmStudy(arm, asked, "planted", storage, run, "cpu", (10_000,))


class Quiet:
    """A stage that tells nothing."""

    def started(self, label: str) -> None:
        """Nothing."""

    def ended(self, label: str, told: str) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""
