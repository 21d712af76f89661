"""After a search: the tuned arms beside the untuned ones, as a suite like any other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml
from optuna.trial import TrialState

from bench.conditions import Family
from bench.overrides import Choice, Override
from bench.planning import Plan, Variant
from bench.search.study import COLUMNS, ArmStudy, tuned_label
from bench.sections import Timing
from bench.suite import Suite
from bench.variant import KEYS

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the search of one arm came to: the chosen configuration, and what it took."""

    arm: Variant
    search: str
    """What the search is called: the arm, numbered where it was searched again."""
    config: Config | None
    """None where no trial was completed within the constraints."""
    columns: Mapping[str, float]
    """What was asked of the chosen trial, by column."""
    finished: int
    pruned: int
    failed: int
    samples: int
    asked: int
    """How many trials were to be finished or pruned."""

    @property
    def label(self) -> str:
        """What the tuned arm is called."""
        return tuned_label(self.search)

    @property
    def spent(self) -> int:
        """The trials of its budget that were used."""
        return self.finished + self.pruned


def found_by(study: ArmStudy) -> Found:
    """What a study has come to so far."""
    spent = study.claims.spent()
    chosen = next(iter(study.front()), None)

    def count(state: TrialState) -> int:
        return sum(trial.state == state for trial in spent)

    return Found(
        arm=study.arm,
        search=study.label,
        config=None if chosen is None else study.configuration(chosen),
        columns={} if chosen is None else chosen.user_attrs[COLUMNS],
        finished=count(TrialState.COMPLETE),
        pruned=count(TrialState.PRUNED),
        failed=len(study.study.get_trials(deepcopy=False, states=(TrialState.FAIL,))),
        samples=study.samples(),
        asked=study.claims.asked,
    )


def folder_of(suite: str) -> str:
    """The name of the suite that compares the tuned arms, and of its folder."""
    return f"{suite}-tuned"


def tuned_suite(suite: Suite, arms: Plan, found: Sequence[Found]) -> Suite:
    """Every arm, tuned and as it is; the baseline is the tuned one of the suite's baseline."""
    base, *_ = arms.variants
    blocks, names = [], set[str]()
    baseline: Choice = ()
    for one in found:
        if one.arm.name not in names:
            names.add(one.arm.name)
            blocks.append(((_choice(one.arm.config, base.config, one.arm.name),),))
        if one.config is None:
            continue
        choice = _choice(one.config, base.config, one.label)
        blocks.append(((choice,),))
        if one.arm.name == arms.baseline and not baseline:
            baseline = choice
    return replace(
        suite,
        name=folder_of(suite.name),
        sweep=tuple(blocks),
        replacements=(),
        removals=(),
        exclusions=(),
        family=Family(),
        single_task="off",
        baseline=baseline,
        search=None,
    )


def with_single_task(plan: Plan, arms: Plan, found: Sequence[Found]) -> Plan:
    """A plan of the tuned suite in which Δm of a tuned arm is against the tuned single-task arm."""
    names = {variant.name for variant in plan.variants}
    rows = [
        (one.arm.name, one.label if one.label in names else one.arm.name)
        for one in found
        if one.config is not None
    ]
    first = dict(reversed(rows))
    alone = {row: first.get(arms.single_task.get(arm, "")) for arm, row in rows}
    told = {row: twin for row, twin in alone.items() if twin is not None}
    return replace(plan, single_task={**plan.single_task, **told})


def suite_file(suite: Suite, one: Found) -> str:
    """The best configuration of an arm, as the text of a suite that is ready to run."""
    value = {
        "name": re.sub(r"[^\w.-]", "_", f"{suite.name}-{one.label}")[:100],
        "question": f"{one.arm.name} as tuned: {suite.question}".removesuffix(": "),
        **{key: one.config[key] for key in KEYS if one.config is not None},
        "seeds": list(suite.seeds),
        "timing": "off" if suite.timing is None else _as_written(suite.timing),
    }
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)


def _as_written(timing: Timing) -> dict[str, Any]:
    sizes = {"batch_sizes": list(timing.batch_sizes)} if timing.batch_sizes else {}
    return {**sizes, "modes": list(timing.modes), "budget_s": timing.budget_s}


def _choice(config: Config, base: Config, label: str) -> Choice:
    """What makes the base this configuration: whole parts, the first of which has the label."""
    parts = [key for key in KEYS if config[key] != base[key]] or ["train"]
    return tuple(
        Override((key,), ("search",), config[key], label=label if i == 0 else "")
        for i, key in enumerate(parts)
    )
