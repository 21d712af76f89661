"""Asks a study's pruner after every epoch, from within the process that trains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import optuna
from optuna.pruners import BasePruner

from bench.search.columns import of_val
from bench.search.storage import Place


@dataclass(frozen=True)
class Watch:
    """Tells a study how a trial goes, and whether to give it up; it can be sent to a process."""

    place: Place
    study: str
    trial: int
    """The number of the trial."""
    column: str
    larger: bool
    pruner: BasePruner

    def __call__(self, curve: Sequence[Mapping[str, Any]]) -> bool:
        """Report the best so far after every epoch of `curve` that has not been; give up?"""
        told = self._trial.storage.get_trial(self._identity).intermediate_values
        better, best = (max, -math.inf) if self.larger else (min, math.inf)
        for point in curve:
            value = of_val(point, self.column)
            best = best if math.isnan(value) else better(best, value)
            if point["epoch"] not in told and math.isfinite(best):
                self._trial.report(best, point["epoch"])
        return bool(self._trial.should_prune())

    @cached_property
    def _trial(self) -> optuna.Trial:
        study = optuna.load_study(
            study_name=self.study, storage=self.place.storage, pruner=self.pruner
        )
        return optuna.Trial(study, self._identity)

    @property
    def _identity(self) -> int:
        storage = self.place.storage
        study = storage.get_study_id_from_name(self.study)
        return storage.get_trial_id_from_study_id_trial_number(study, self.trial)
