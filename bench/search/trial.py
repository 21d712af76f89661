"""One trial: its cells are trained, and become a state and the values of the objectives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna
from optuna.trial import TrialState

from bench.cell import TrainCell, identity
from bench.execution.run import Run
from bench.execution.training import Training
from bench.progress import Stage
from bench.running import failed_before
from bench.search.columns import value_of
from bench.search.costing import TimingFailedError, costs
from bench.search.watch import Watch
from bench.searches import Search
from mtmm.settings import listed

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a trial came to; `columns` are the values of all that was asked of it."""

    state: TrialState
    reason: str = ""
    columns: Mapping[str, float]
    records: Sequence[str]
    """The identities of the records that it is about."""


@dataclass(frozen=True, kw_only=True)
class TrialRun:
    """A trial at work: the cells of one configuration, one for each seed."""

    trial: optuna.Trial
    label: str
    cells: Sequence[TrainCell]
    search: Search
    study: str
    """What makes the study another: its pruned cells are read in no other."""
    run: Run
    stage: Stage
    watch: Watch
    budget_s: float

    def outcome(self) -> Outcome:
        """Train what is missing, time it where that is asked for, and judge it."""
        trained, names = list[Record](), list[str]()

        def ended(state: TrialState, reason: str = "") -> Outcome:
            return Outcome(state=state, reason=reason, columns={}, records=names)

        for batch in self._batches():
            watch = self.watch if self._is_watched(batch) else None
            self._train(batch, watch)
            names += [self._name_of(cell) for cell in batch]
            for cell in batch:
                record, state, reason = self._judged(cell)
                if state is not None:
                    return ended(state, reason)
                assert record is not None
                trained.append(record)
                if watch is not None:
                    watch(record["curve"])  # of what was read: others are compared with it
            if self._pruned_by_seeds(trained):
                reason = f"given up after {len(trained)} of {len(self.cells)} seeds"
                return ended(TrialState.PRUNED, reason)
        try:
            columns = self._columns(trained)
        except TimingFailedError as error:
            return ended(TrialState.FAIL, f"not timed: {error}")
        endless = [name for name, value in columns.items() if not math.isfinite(value)]
        if endless:
            return ended(TrialState.PRUNED, f"{listed(endless)}: not a finite number")
        return Outcome(state=TrialState.COMPLETE, columns=columns, records=names)

    def _batches(self) -> list[Sequence[TrainCell]]:
        """Cells that may train side by side: a pruner decides between batches."""
        match self.search.pruner:
            case "wilcoxon":
                return [[cell] for cell in self.cells]
            case "median" | "hyperband":
                return [part for part in (self.cells[:1], self.cells[1:]) if part]
            case _:
                return [self.cells]

    @property
    def _may_prune(self) -> bool:
        return self.search.pruner in ("median", "hyperband")

    def _is_watched(self, batch: Sequence[TrainCell]) -> bool:
        return self._may_prune and batch[0] is self.cells[0]

    def _train(self, cells: Sequence[TrainCell], watch: Watch | None) -> None:
        labels = {cell.id: f"{self.label} seed {cell.seed}" for cell in cells}
        store, options = self.run.store, self.run.options
        again = failed_before(labels, store) if options.retry_failed else {}
        missing = [c for c in cells if c.id in again or not store.has(self._name_of(c))]
        run = replace(self.run, again=again)
        Training(run, labels, self.stage, "val", watch, self._name_pruned).train(missing)

    def _name_of(self, cell: TrainCell) -> str:
        """The identity of the record of a cell, which may have been given up."""
        whole = not self._may_prune or self.run.store.has(cell.id)
        return cell.id if whole else self._name_pruned(cell.id)

    def _name_pruned(self, cell: str) -> str:
        return identity({"kind": "pruned", "cell": cell, "study": self.study})

    def _judged(self, cell: TrainCell) -> tuple[Record | None, TrialState | None, str]:
        """The record of a cell, and the state of the trial where that is decided by it.

        A trial that diverged has used its budget, and has no value.
        """
        record = self.run.store.read(self._name_of(cell))
        if record is None:
            return None, TrialState.FAIL, "its record is gone"
        if record["status"] == "ok":
            return record, None, ""
        spent = record["status"] in ("diverged", "oom", "skipped", "pruned")
        told = record["reason"] if record["status"] == "pruned" else ""
        reason = told or f"{record['status']}: {record['reason']}"
        return record, TrialState.PRUNED if spent else TrialState.FAIL, reason

    def _pruned_by_seeds(self, trained: Sequence[Record]) -> bool:
        if self.search.pruner != "wilcoxon":
            return False
        value = value_of(self.search.objectives[0], trained[-1:], {})
        if not math.isfinite(value):
            return False
        self.trial.report(value, len(trained))
        return len(trained) < len(self.cells) and self.trial.should_prune()

    def _columns(self, trained: Sequence[Record]) -> dict[str, float]:
        """All that was asked of the trial; raises TimingFailedError."""
        timed: Mapping[str, float] = {}
        if self.search.times:
            self.stage.note(f"{self.label}: timing")
            timed = costs(self.cells[0].config, self.search.columns, self.run, self.budget_s)
        return {name: value_of(name, trained, timed) for name in self.search.columns}
