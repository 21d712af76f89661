"""One arm's study: trials are asked of Optuna, trained as ordinary cells, and told it again."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from bench.cell import TrainCell, identity
from bench.errors import InputError
from bench.execution.locks import UnitLock
from bench.execution.run import Run
from bench.execution.training import Training
from bench.planning import Variant
from bench.progress import Stage
from bench.running import failed_before
from bench.search.arms import column_of, configured, larger_is_better
from bench.searches import Search
from bench.variant import Resolver, description_of

FIRST_SEED = 10_000
"""Seeds of a search begin here: those of the comparison that comes after it are others."""

RECORDS = "records"
"""The attribute of a trial that names its records."""

_SPENT = (TrialState.COMPLETE, TrialState.PRUNED)
_POLL_S = 0.5


def open_storage(url: str | None, folder: Path) -> optuna.storages.BaseStorage:
    """The storage of studies: a journal in `folder`, or what the URL says; else InputError."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        if url is None:
            folder.mkdir(parents=True, exist_ok=True)
            return JournalStorage(JournalFileBackend(str(folder / "study.journal")))
        return optuna.storages.get_storage(url)
    except Exception as error:
        place = folder if url is None else url
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"--storage {place}: it cannot be used: {first}") from None


@dataclass
class ArmStudy:
    """The search of one arm; any number of processes may work on it at once.

    They share `run`'s results folder, whose locks say which trials somebody works on.
    """

    arm: Variant
    search: Search
    suite: str
    storage: optuna.storages.BaseStorage
    run: Run
    device_type: str
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        larger = larger_is_better(self.search.objective, self.arm.config)
        self._resolver = Resolver()
        self.study = optuna.create_study(
            storage=self.storage,
            study_name=self.name,
            direction="maximize" if larger else "minimize",
            load_if_exists=True,
        )

    @property
    def name(self) -> str:
        """What the study is called: another space, objective or source makes another study."""
        return f"{self.suite}/{self.arm.name}/{self._digest[:12]}"

    def work(self, stage: Stage) -> None:
        """Run trials until as many as were asked for are finished, or the time is over."""
        end = math.inf if self.search.timeout_s is None else self._now() + self.search.timeout_s
        while self._now() < end:
            with self._claimed() as claim:
                if claim is None:
                    if self._spent() >= self.search.trials:
                        return
                    time.sleep(_POLL_S)  # others work on the last ones
                    continue
                self._evaluate(claim, stage)

    def best(self) -> tuple[FrozenTrial, dict[str, Any]] | None:
        """The best trial with its configuration; None where none was completed."""
        try:
            trial = self.study.best_trial
        except ValueError:
            return None
        proposer = optuna.trial.FixedTrial(trial.params)
        config, _ = configured(self.arm.config, self.search.space, proposer, self._resolver)
        return trial, config

    def samples(self) -> int:
        """The samples that its trials have trained on, each record counted once."""
        names = {
            name
            for trial in self.study.get_trials(deepcopy=False)
            for name in trial.user_attrs.get(RECORDS, ())
        }
        records = (self.run.store.read(name) for name in names)
        return sum(int(record.get("samples") or 0) for record in records if record is not None)

    def _evaluate(self, trial: optuna.Trial, stage: Stage) -> None:
        label = f"{self.arm.name} trial {trial.number}"
        config, problems = configured(self.arm.config, self.search.space, trial, self._resolver)
        if problems:
            trial.set_user_attr("reason", "; ".join(problem.message for problem in problems))
            self.study.tell(trial, state=TrialState.PRUNED)
            return
        cells = [self._cell(config, seed) for seed in self.seeds]
        trial.set_user_attr(RECORDS, [cell.id for cell in cells])
        labels = {cell.id: f"{label} seed {cell.seed}" for cell in cells}
        store, options = self.run.store, self.run.options
        again = failed_before(labels, store) if options.retry_failed else {}
        missing = [cell for cell in cells if cell.id in again or not store.has(cell.id)]
        Training(replace(self.run, again=again), labels, stage).train(missing)
        state, value, reason = self._outcome(cells)
        trial.set_user_attr("reason", reason)
        self.study.tell(trial, value, state=state)

    def _outcome(self, cells: list[TrainCell]) -> tuple[TrialState, float | None, str]:
        """State and value of a trial: one that diverged has used its budget, and has no value."""
        values = []
        for cell in cells:
            record = self.run.store.read(cell.id)
            if record is None:
                return TrialState.FAIL, None, "its record is gone"
            if record["status"] in ("diverged", "oom", "skipped"):
                return TrialState.PRUNED, None, f"{record['status']}: {record['reason']}"
            if record["status"] != "ok":
                return TrialState.FAIL, None, f"{record['status']}: {record['reason']}"
            values.append(column_of(record, self.search.objective))
        mean = sum(values) / len(values)
        if not math.isfinite(mean):
            return TrialState.PRUNED, None, f"{self.search.objective} is not finite"
        return TrialState.COMPLETE, mean, ""

    @contextmanager
    def _claimed(self) -> Iterator[optuna.Trial | None]:
        """A new trial that is ours alone; None where enough are done or worked on."""
        lock: UnitLock | None = None
        try:
            with FileLock(self.run.store.locks / f"{self._digest}.study"):
                trial = self._ask()
                if trial is not None:
                    lock = self._lock(trial.number)
                    lock.acquire(f"{self.arm.name} trial {trial.number}")
            yield trial
        finally:
            if lock is not None:
                lock.release()

    def _ask(self) -> optuna.Trial | None:
        self._free_what_nobody_works_on()
        trials = self.study.get_trials(deepcopy=False)
        failed = [trial for trial in trials if trial.state == TrialState.FAIL]
        errors = [trial for trial in failed if "reason" in trial.user_attrs]
        if len(errors) > self.search.trials:
            text = f"{self.arm.name}: {len(errors)} trials failed, the last: "
            raise InputError(text + str(errors[-1].user_attrs["reason"]))
        taken = sum(trial.state in (*_SPENT, TrialState.RUNNING) for trial in trials)
        if taken >= self.search.trials:
            return None
        # A sampler of each trial's own: a search that was interrupted goes on as if it was not.
        self.study.sampler = _sampler(self.search, f"{self._digest}/{len(trials)}")
        return self.study.ask()

    def _free_what_nobody_works_on(self) -> None:
        """Trials of processes that were killed have failed, and their settings are tried again."""
        for trial in self.study.get_trials(deepcopy=True, states=(TrialState.RUNNING,)):
            lock = self._lock(trial.number)
            if not lock.acquire("looking for trials that nobody works on"):
                continue
            with suppress(optuna.exceptions.UpdateFinishedTrialError):
                self.study.tell(trial.number, state=TrialState.FAIL)
                if trial.params:
                    self.study.enqueue_trial(trial.params)
            lock.release()

    def _lock(self, number: int) -> UnitLock:
        return UnitLock(self.run.store.locks, f"{self._digest}-{number}")

    def _spent(self) -> int:
        trials = self.study.get_trials(deepcopy=False)
        return sum(trial.state in _SPENT for trial in trials)

    def _cell(self, config: dict[str, Any], seed: int) -> TrainCell:
        return TrainCell(config, seed, description_of(config).fingerprint, self.device_type)

    @cached_property
    def _digest(self) -> str:
        return identity(
            {
                "arm": [self._cell(self.arm.config, seed).id for seed in self.seeds],
                "space": repr([_without_place(entry) for entry in self.search.space]),
                "search": [self.search.objective, self.search.sampler, self.search.seed],
            }
        )

    @staticmethod
    def _now() -> float:
        return time.monotonic()


def search_seeds(search: Search, taken: tuple[int, ...]) -> tuple[int, ...]:
    """Seeds for trials, none of which is among those of the comparison."""
    free = (seed for seed in range(FIRST_SEED, 2**31) if seed not in taken)
    return tuple(seed for seed, _ in zip(free, range(search.seeds), strict=False))


def _sampler(search: Search, text: str) -> BaseSampler:
    digest = hashlib.sha256(f"{search.seed}/{text}".encode()).digest()
    seed = int.from_bytes(digest[:4], "big") % 2**31
    return RandomSampler(seed=seed) if search.sampler == "random" else TPESampler(seed=seed)


def _without_place(entry: Any) -> tuple[Any, ...]:
    when = [(override.target, override.value) for override in entry.when]
    bounds = entry.low, entry.high, entry.log, entry.step, entry.choices, entry.simplex
    return entry.name, *bounds, when
