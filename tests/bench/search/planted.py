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
from bench.search.storage import Place
from bench.search.study import ArmStudy
from bench.search.watch import Watch
from bench.store import Store
from bench.suite import load_suite
from tests.conftest import SUITE

Score = Callable[[Mapping[str, Any]], float | str | list[float]]
"""What training comes to: a score on val after each epoch, or the status of a cell without one."""


def training(score: Score) -> type:
    """What stands in for `bench.search.trial.Training`."""

    class Planted:
        def __init__(
            self,
            run: Run,
            labels: Mapping[str, str],
            stage: Stage,
            told: str,
            watch: Watch | None,
            name_pruned: Callable[[str], str],
        ) -> None:
            assert told == "val"
            self._store, self._watch, self._name_pruned = run.store, watch, name_pruned

        def train(self, cells: Sequence[TrainCell]) -> None:
            for cell in cells:
                found = score({**cell.config, "seed": cell.seed})
                curve = _curve(found)
                for i in range(1, len(curve)):
                    if self._watch is not None and self._watch(curve[:i]):
                        record = _record(cell, "pruned", curve[:i])
                        self._store.write(self._name_pruned(cell.id), record)
                        break
                else:
                    self._store.write(cell.id, _record(cell, found, curve))

    return Planted


def _curve(found: float | str | list[float]) -> list[dict[str, Any]]:
    values = found if isinstance(found, list) else []
    return [{"epoch": i, "val_score": value, "val": {}} for i, value in enumerate(values, start=1)]


def _record(
    cell: TrainCell, found: float | str | list[float], curve: list[dict[str, Any]]
) -> dict[str, Any]:
    status = found if isinstance(found, str) else "ok"
    samples = 64 * max(1, len(curve))
    record = {"kind": "train", "status": status, "config": cell.config, "samples": samples}
    if isinstance(found, str):
        return {**record, "reason": "as planted"}
    score = max(found) if isinstance(found, list) else found
    width = cell.config["model"]["width"]
    numbers = {"seconds": 0.5, "steps": 1, "params": width, "epochs": {"run": 1}, "curve": curve}
    scores = {"scores": {"val": score, "test": None}, "task_scores": {"val": {}, "test": {}}}
    return {**record, "reason": "", **numbers, "val": {}, "test": {}, **scores}


def study(folder: Path, seeds: tuple[int, ...] = (10_000,), **search: Any) -> ArmStudy:
    """The study of the only arm, in memory; its records are in `folder`.

    What the records hold for parameters is the width.
    """
    asked, arms = plan_arms(load_suite({**SUITE, "search": {**search, "seeds": len(seeds)}}))
    (arm,) = arms.variants
    run = Run(Store(folder), Options(devices=(torch.device("cpu"),)), "none", folder)
    return ArmStudy(arm, asked, "planted", in_memory(folder), run, "cpu", seeds)


def in_memory(folder: Path) -> Place:
    """A place whose storage no other process can open."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    place = Place(None, folder)
    place.__dict__["storage"] = optuna.storages.InMemoryStorage()
    return place


class Quiet:
    """A stage that tells nothing."""

    def started(self, label: str) -> None:
        """Nothing."""

    def ended(self, label: str, told: str) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""
