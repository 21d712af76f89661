"""One arm's study: trials are asked of Optuna, trained as ordinary cells, and told it again."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from operator import le
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from bench.cell import TrainCell, identity
from bench.execution.run import Run
from bench.planning import Variant
from bench.progress import Stage
from bench.search.claims import REASON, Claims
from bench.search.columns import larger_is_better
from bench.search.configuring import configured, epochs
from bench.search.costing import BUDGET_S
from bench.search.grid import grid
from bench.search.samplers import pruner_of
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
        self._resolver = Resolver()
        self.larger = [larger_is_better(name, self.arm.config) for name in self.search.objectives]
        self.study = optuna.create_study(
            storage=self.place.storage,
            study_name=self.name,
            directions=["maximize" if up else "minimize" for up in self.larger],
            pruner=pruner_of(self.search, epochs(self.arm.config, self.search.space)),
            load_if_exists=True,
        )
        self.claims = Claims(
            study=self.study,
            search=self.search,
            label=self.label,
            digest=self._digest,
            locks=self.run.store.locks,
            grid=self._grid(),
            retry_failed=self.run.options.retry_failed,
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

    def work(self, stage: Stage) -> None:
        """Run trials until as many as were asked for are finished, or the time is over.

        Raises TrialsFailError where more than that have failed.
        """
        end = math.inf if self.search.timeout_s is None else self._now() + self.search.timeout_s
        while self._now() < end:
            with self.claims.claimed() as claim:
                if claim is None:
                    if len(self.claims.spent()) >= self.claims.asked:
                        return
                    time.sleep(_POLL_S)  # others work on the last ones
                    continue
                self._evaluate(claim, stage)

    def front(self) -> list[FrozenTrial]:
        """The trials of the budget that none is better than, the chosen one first.

        All keep the constraints. With several objectives the one that is best in the first is
        chosen; of trials with equal values there is one.
        """
        badness = {
            trial.number: tuple(
                -value if up else value for up, value in zip(self.larger, trial.values, strict=True)
            )
            for trial in self.claims.spent()
            if trial.state == TrialState.COMPLETE and self.keeps_constraints(trial)
        }
        first = {bad: number for number, bad in reversed(badness.items())}
        best = [
            bad
            for bad in sorted(first)
            if not any(other != bad and all(map(le, other, bad)) for other in first)
        ]
        trials = self.study.get_trials(deepcopy=False)
        return [trials[first[bad]] for bad in best]

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
        """The samples that the trials of its budget trained on, each record counted once."""
        trials = self.claims.spent()
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
            trial.set_user_attr(REASON, "; ".join(problem.message for problem in problems))
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
        trial.set_user_attr(RECORDS, list(outcome.records))
        trial.set_user_attr(REASON, outcome.reason)
        trial.set_user_attr(COLUMNS, dict(outcome.columns))
        for one in self.search.constraints:
            if one.column in outcome.columns:
                trial.set_constraint(one.column, one.excess(outcome.columns[one.column]))
        if outcome.state == TrialState.FAIL:
            self.claims.failed_here.add(trial.number)
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

    @cached_property
    def _digest(self) -> str:
        return identity(
            {
                "arm": [self.cell(self.arm.config, seed).id for seed in self.seeds],
                "space": repr([_without_place(entry) for entry in self.search.space]),
                "search": [getattr(self.search, name) for name in _DISTINCT],
                "constraints": [repr(one) for one in self.search.constraints],
                "repeat": self.repeat,
                **({"budget_s": self.budget_s} if self.search.times else {}),
            }
        )

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
