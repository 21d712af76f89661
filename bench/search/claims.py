"""Who works on which trial of a study: any number of processes that share a folder of locks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.trial import FrozenTrial, TrialState

from bench.execution.locks import UnitLock
from bench.search.samplers import sampler_of
from bench.searches import Search

_SPENT = (TrialState.COMPLETE, TrialState.PRUNED)

REASON = "reason"
"""The attribute of a trial that ended by itself: why it came to nothing, or an empty text."""


class TrialsFailError(RuntimeError):
    """More trials have failed than a study is to have; the text says how the last one did."""


@dataclass
class Claims:
    """The trials of a study, handed out one by one until there are enough."""

    study: optuna.Study
    search: Search
    label: str
    """What the study is called where it is told of."""
    digest: str
    """What makes the study another."""
    locks: Path
    grid: Sequence[dict[str, Any]] | None
    """All combinations, where the study goes through them."""
    retry_failed: bool
    failed_here: set[int] = field(default_factory=set)
    """Numbers of trials that have failed in this process."""

    @property
    def asked(self) -> int:
        """How many trials there are in the end: as many as were asked for, or as a grid holds."""
        if self.grid is None:
            return self.search.trials
        lost = {repr(sorted(trial.params.items())) for trial in self._all() if self._is_lost(trial)}
        return min(self.search.trials, len(self.grid) - len(lost))

    def spent(self) -> list[FrozenTrial]:
        """The trials that make up the budget, finished or given up: the first ones, if more."""
        return [trial for trial in self._all() if trial.state in _SPENT][: self.asked]

    @contextmanager
    def claimed(self) -> Iterator[optuna.Trial | None]:
        """A new trial that is ours alone; None where enough are done or worked on."""
        lock: UnitLock | None = None
        try:
            with FileLock(self.locks / f"{self.digest}.study"):
                trial = self._ask()
                if trial is not None:
                    lock = self._lock(trial.number)
                    lock.acquire(f"{self.label} trial {trial.number}")
            yield trial
        finally:
            if lock is not None:
                lock.release()

    def _ask(self) -> optuna.Trial | None:
        self._free_what_nobody_works_on()
        trials = self._all()
        if len(self.failed_here) > self.search.trials:
            reason = trials[max(self.failed_here)].user_attrs[REASON]
            raise TrialsFailError(
                f"{self.label}: {len(self.failed_here)} trials failed, the last: {reason}"
            )
        taken = sum(trial.state in (*_SPENT, TrialState.RUNNING) for trial in trials)
        if taken >= self.asked:
            return None
        # A sampler of each trial's own, whose seed no killed trial has changed: a search that was
        # interrupted goes on as if it was not.
        before = sum(trial.state != TrialState.WAITING and not _killed(trial) for trial in trials)
        self.study.sampler = sampler_of(self.search, f"{self.digest}/{before}")
        if self.grid is not None:
            self._enqueue_next(trials)
        return self.study.ask()

    def _enqueue_next(self, trials: Sequence[FrozenTrial]) -> None:
        """Let the next trial be the first combination of the grid that nobody has, or waits."""
        if any(trial.state == TrialState.WAITING for trial in trials):
            return
        # A trial that runs may not have come to all of its settings yet.
        taken = [
            trial.system_attrs.get("fixed_params", trial.params)
            for trial in trials
            if trial.state != TrialState.FAIL or self._is_lost(trial)
        ]
        self.study.enqueue_trial(next(one for one in self.grid or () if one not in taken))

    def _is_lost(self, trial: FrozenTrial) -> bool:
        """Whether a combination of a grid has come to nothing and is not to be tried again."""
        if trial.state != TrialState.FAIL or _killed(trial):
            return False
        return not self.retry_failed or trial.number in self.failed_here

    def _free_what_nobody_works_on(self) -> None:
        """Trials of processes that were killed have failed, and their settings are tried again."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            lock = self._lock(trial.number)
            if not lock.acquire("looking for trials that nobody works on"):
                continue
            # It may have ended before the lock was ours.
            now = self._all()[trial.number]
            if now.state == TrialState.RUNNING:
                self.study.tell(trial.number, state=TrialState.FAIL)
                if now.params:
                    self.study.enqueue_trial(now.params)
            lock.release()

    def _lock(self, number: int) -> UnitLock:
        return UnitLock(self.locks, f"{self.digest}-{number}")

    def _all(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)


def _killed(trial: FrozenTrial) -> bool:
    """Whether a trial has failed with its process."""
    return trial.state == TrialState.FAIL and REASON not in trial.user_attrs
