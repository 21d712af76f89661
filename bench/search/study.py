"""One arm's study: trials are asked of Optuna, trained as ordinary cells, and told it again."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import optuna
from filelock import FileLock
from optuna.trial import FrozenTrial, TrialState

from bench.cell import TrainCell, identity
from bench.errors import InputError
from bench.execution.locks import UnitLock
from bench.execution.run import Run
from bench.planning import Variant
from bench.progress import Stage
from bench.search.columns import larger_is_better
from bench.search.configuring import configured, epochs
from bench.search.costing import BUDGET_S
from bench.search.grid import grid
from bench.search.samplers import pruner_of, sampler_of
from bench.search.storage import Place
from bench.search.trial import TrialRun
from bench.search.watch import Watch
from bench.searches import Search
from bench.variant import Resolver, description_of

FIRST_SEED = 10_000
"""Seeds of a search begin here: those of the comparison that comes after it are others."""

RECORDS = "records"
"""The attribute of a trial that names its records."""

COLUMNS = "columns"
"""The attribute of a trial with all that was asked of it, by column."""

_DISTINCT = ("objectives", "sampler", "pruner", "seed")
"""What of a search makes another study."""

_SPENT = (TrialState.COMPLETE, TrialState.PRUNED)
_POLL_S = 0.5


@dataclass
class ArmStudy:
    """The search of one arm; any number of processes may work on it at once.

    They share `run`'s results folder, whose locks say which trials somebody works on. `repeat`
    counts the studies of an arm, which differ in their seeds.
    """

    arm: Variant
    search: Search
    suite: str
    place: Place
    run: Run
    device_type: str
    seeds: tuple[int, ...]
    repeat: int = 0
    budget_s: float = BUDGET_S
    """Seconds that the timing of a trial may take, where costs are asked for."""

    def __post_init__(self) -> None:
        self._resolver, self._failed_here = Resolver(), set[int]()
        self.larger = [larger_is_better(name, self.arm.config) for name in self.search.objectives]
        self.study = optuna.create_study(
            storage=self.place.storage,
            study_name=self.name,
            directions=["maximize" if up else "minimize" for up in self.larger],
            pruner=pruner_of(self.search, epochs(self.arm.config, self.search.space)),
            load_if_exists=True,
        )

    @property
    def name(self) -> str:
        """What the study is called: another space, objective or source makes another study."""
        # A database holds 512 characters.
        return f"{self.suite[:100]}/{self.arm.name[:200]}/{self._digest[:12]}"

    @property
    def label(self) -> str:
        """What the study is called where it is told of."""
        return self.arm.name if self.search.repeats == 1 else f"{self.arm.name} {self.repeat + 1}"

    @property
    def trials(self) -> int:
        """How many trials it has in the end: as many as were asked for, or as a grid holds."""
        if self._grid is None:
            return self.search.trials
        lost = sum(self._is_lost(trial) for trial in self.study.get_trials(deepcopy=False))
        return min(self.search.trials, len(self._grid) - lost)

    def work(self, stage: Stage) -> None:
        """Run trials until as many as were asked for are finished, or the time is over."""
        end = math.inf if self.search.timeout_s is None else self._now() + self.search.timeout_s
        while self._now() < end:
            with self._claimed() as claim:
                if claim is None:
                    if self._spent() >= self.trials:
                        return
                    time.sleep(_POLL_S)  # others work on the last ones
                    continue
                self._evaluate(claim, stage)

    def front(self) -> list[FrozenTrial]:
        """The trials that none is better than within the constraints, the chosen one first.

        With several objectives it is the one that is best in the first.
        """
        try:
            several = len(self.search.objectives) > 1
            best = self.study.best_trials if several else [self.study.best_trial]
        except ValueError:  # there is none
            return []

        def badness(trial: FrozenTrial) -> tuple[float, ...]:
            signs = (-1 if up else 1 for up in self.larger)
            values = (s * v for s, v in zip(signs, trial.values, strict=True))
            return (*values, trial.number)

        return sorted((trial for trial in best if self.keeps_constraints(trial)), key=badness)

    def configuration(self, trial: FrozenTrial) -> dict[str, Any]:
        """The resolved configuration of a trial."""
        proposer = optuna.trial.FixedTrial(trial.params)
        config, _ = configured(self.arm.config, self.search.space, proposer, self._resolver)
        return config

    def cell(self, config: dict[str, Any], seed: int) -> TrainCell:
        """The cell of a configuration and one of the study's seeds."""
        return TrainCell(config, seed, description_of(config).fingerprint, self.device_type)

    def keeps_constraints(self, trial: FrozenTrial) -> bool:
        """Whether all that is bounded is known of the trial, and within its bounds."""
        known = trial.user_attrs.get(COLUMNS, {})
        return all(
            one.column in known and one.excess(known[one.column]) <= 0
            for one in self.search.constraints
        )

    def samples(self) -> int:
        """The samples that its trials have trained on, each record counted once."""
        trials = self.study.get_trials(deepcopy=False)
        names = {name for trial in trials for name in trial.user_attrs.get(RECORDS, ())}
        return sum(int(self._told(name, "samples")) for name in names)

    def effort(self, trial: FrozenTrial) -> tuple[int, float]:
        """The samples and the seconds of training that went into a trial."""
        names = trial.user_attrs.get(RECORDS, ())
        samples = sum(int(self._told(name, "samples")) for name in names)
        return samples, sum(self._told(name, "seconds") for name in names)

    def _told(self, record: str, key: str) -> float:
        return float((self.run.store.read(record) or {}).get(key) or 0)

    def _evaluate(self, trial: optuna.Trial, stage: Stage) -> None:
        config, problems = configured(self.arm.config, self.search.space, trial, self._resolver)
        if problems:
            trial.set_user_attr("reason", "; ".join(problem.message for problem in problems))
            self.study.tell(trial, state=TrialState.PRUNED)
            return
        at_work = TrialRun(
            trial=trial,
            label=f"{self.label} trial {trial.number}",
            cells=[self.cell(config, seed) for seed in self.seeds],
            search=self.search,
            study=self._digest,
            run=self.run,
            stage=stage,
            watch=self._watch(trial),
            budget_s=self.budget_s,
        )
        outcome = at_work.outcome()
        trial.set_user_attr(RECORDS, at_work.records)
        trial.set_user_attr("reason", outcome.reason)
        trial.set_user_attr(COLUMNS, dict(outcome.columns))
        for one in self.search.constraints:
            if one.column in outcome.columns:
                trial.set_constraint(one.column, one.excess(outcome.columns[one.column]))
        if outcome.state == TrialState.FAIL:
            self._failed_here.add(trial.number)
        done = outcome.state == TrialState.COMPLETE
        values = [outcome.columns[name] for name in self.search.objectives] if done else None
        self.study.tell(trial, values, state=outcome.state)

    def _watch(self, trial: optuna.Trial) -> Watch:
        return Watch(
            place=self.place,
            study=self.name,
            trial=trial.number,
            column=self.search.objectives[0],
            larger=self.larger[0],
            pruner=self.study.pruner,
        )

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
        if taken >= self.trials:
            return None
        # A sampler of each trial's own: a search that was interrupted goes on as if it was not.
        self.study.sampler = sampler_of(self.search, f"{self._digest}/{len(trials)}")
        if self._grid is not None:
            self._enqueue_next(trials)
        return self.study.ask()

    def _enqueue_next(self, trials: list[FrozenTrial]) -> None:
        """Let the next trial be the first combination of the grid that nobody has, or waits."""
        if any(trial.state == TrialState.WAITING for trial in trials):
            return
        # A trial that runs may not have come to all of its settings yet.
        taken = [
            trial.system_attrs.get("fixed_params", trial.params)
            for trial in trials
            if trial.state != TrialState.FAIL or self._is_lost(trial)
        ]
        self.study.enqueue_trial(next(one for one in self._grid or [] if one not in taken))

    def _is_lost(self, trial: FrozenTrial) -> bool:
        """Whether a combination of a grid has come to nothing and is not to be tried again."""
        if trial.state != TrialState.FAIL or "reason" not in trial.user_attrs:
            return False  # another process was killed
        return not self.run.options.retry_failed or trial.number in self._failed_here

    def _free_what_nobody_works_on(self) -> None:
        """Trials of processes that were killed have failed, and their settings are tried again."""
        for trial in self.study.get_trials(deepcopy=True, states=(TrialState.RUNNING,)):
            lock = self._lock(trial.number)
            if not lock.acquire("looking for trials that nobody works on"):
                continue
            # It may have ended before the lock was ours.
            now = self.study.get_trials(deepcopy=False)[trial.number]
            if now.state == TrialState.RUNNING:
                self.study.tell(trial.number, state=TrialState.FAIL)
                if now.params:
                    self.study.enqueue_trial(now.params)
            lock.release()

    def _lock(self, number: int) -> UnitLock:
        return UnitLock(self.run.store.locks, f"{self._digest}-{number}")

    def _spent(self) -> int:
        trials = self.study.get_trials(deepcopy=False)
        return sum(trial.state in _SPENT for trial in trials)

    @cached_property
    def _digest(self) -> str:
        return identity(
            {
                "arm": [self.cell(self.arm.config, seed).id for seed in self.seeds],
                "space": repr([_without_place(entry) for entry in self.search.space]),
                "search": [getattr(self.search, name) for name in _DISTINCT],
                "constraints": [repr(one) for one in self.search.constraints],
                "repeat": self.repeat,
            }
        )

    @cached_property
    def _grid(self) -> list[dict[str, Any]] | None:
        if self.search.sampler != "grid":
            return None
        # As many may fail as are asked for.
        return grid(self.arm.config, self.search.space, 2 * self.search.trials)

    @staticmethod
    def _now() -> float:
        return time.monotonic()


def tuned_label(search: str) -> str:
    """What the tuned arm is called that a search of that label has found."""
    return f"{search}-tuned"


def search_seeds(search: Search, taken: tuple[int, ...], repeat: int = 0) -> tuple[int, ...]:
    """Seeds for the trials of a study, among those of neither the comparison nor another repeat."""
    free = (seed for seed in range(FIRST_SEED, 2**31) if seed not in taken)
    first = repeat * search.seeds
    return tuple(islice(free, first, first + search.seeds))


def _without_place(entry: Any) -> tuple[Any, ...]:
    when = [(override.target, override.value) for override in entry.when]
    bounds = entry.low, entry.high, entry.log, entry.step, entry.choices, entry.simplex
    return entry.name, *bounds, when
