"""What a search did, trial by trial, for the report: `search.json` beside the manifest."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from bench.report.search import VERSION
from bench.search.claims import REASON
from bench.search.study import COLUMNS, ArmStudy, tuned_label
from bench.searches import Search

_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}

_FEWEST = 4  # complete trials, of which importance says anything


def history(suite: str, search: Search, studies: Sequence[ArmStudy]) -> dict[str, Any]:
    """The whole search: what was asked, and every study with its trials."""
    first, *_ = studies
    return {
        "schema_version": VERSION,
        "suite": suite,
        "objectives": [
            {"name": name, "direction": "maximize" if up else "minimize"}
            for name, up in zip(search.objectives, first.larger, strict=True)
        ],
        "constraints": [
            {
                "name": one.column,
                **{k: v for k, v in (("min", one.low), ("max", one.high)) if math.isfinite(v)},
            }
            for one in search.constraints
        ],
        "sampler": search.sampler,
        "pruner": search.pruner,
        "trials_asked": search.trials,
        "seeds": search.seeds,
        "space": _space(search, studies),
        "arms": [_study(study) for study in studies],
    }


def _study(study: ArmStudy) -> dict[str, Any]:
    front = [trial.number for trial in study.front()]
    trials = study.study.get_trials(deepcopy=False, states=tuple(_STATES))
    return {
        "arm": study.arm.name,
        "label": tuned_label(study.label),
        "repeat": study.repeat,
        "study": study.name,
        "chosen": front[0] if front else None,
        "front": sorted(front),
        "importance": _importance(study),
        "trials": [_trial(study, trial) for trial in trials],
    }


def _trial(study: ArmStudy, trial: FrozenTrial) -> dict[str, Any]:
    samples, seconds = study.effort(trial)
    return {
        "number": trial.number,
        "state": _STATES[trial.state],
        "reason": str(trial.user_attrs.get(REASON, "")),
        "values": trial.values if all(map(math.isfinite, trial.values or ())) else None,
        "feasible": study.keeps_constraints(trial),
        "columns": trial.user_attrs.get(COLUMNS, {}),
        "params": trial.params,
        "samples": samples,
        "seconds": round(seconds, 3),
    }


def _importance(study: ArmStudy) -> dict[str, float]:
    """PED-ANOVA of the first objective: the share of each setting that all trials have."""
    complete = [t for t in study.study.get_trials(deepcopy=False) if t.state == TrialState.COMPLETE]
    varied = [name for name in _common(complete) if len({t.params[name] for t in complete}) > 1]
    if len(complete) < _FEWEST or not varied:
        return {}
    sign = -1 if study.larger[0] else 1

    def badness(trial: FrozenTrial) -> float:
        return sign * float(trial.values[0])

    try:
        with warnings.catch_warnings():  # it says that low values are the good ones: they are
            warnings.simplefilter("ignore", UserWarning)
            found = optuna.importance.get_param_importances(
                study.study, params=varied, target=badness
            )
    except (ValueError, RuntimeError):  # all values are equal, for one
        return {}
    return {name: share for name, share in found.items() if math.isfinite(share)}


def _common(trials: Sequence[FrozenTrial]) -> list[str]:
    shared = set[str].intersection(*(set(trial.params) for trial in trials)) if trials else set()
    return sorted(shared)


def _space(search: Search, studies: Sequence[ArmStudy]) -> list[dict[str, Any]]:
    """Every setting that some trial was given, with its range or choices, as the suite has them."""
    met: dict[str, BaseDistribution] = {}
    for study in studies:
        for trial in study.study.get_trials(deepcopy=False):
            met |= trial.distributions
    order = [entry.name for entry in search.space]
    names = sorted(met, key=lambda name: (order.index(name.partition("[")[0]), name))
    return [{"name": name, **_bounds(met[name])} for name in names]


def _bounds(distribution: Any) -> dict[str, Any]:
    if isinstance(distribution, CategoricalDistribution):
        return {"choices": list(distribution.choices)}
    return {"low": distribution.low, "high": distribution.high, "log": distribution.log}
