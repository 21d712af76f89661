"""From a suite to its variants and units of work; everything is validated here."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from bench.cell import TimingArm, TimingBlock, TrainCell, timed_part
from bench.naming import variant_names
from bench.suite import Axis, Suite, SuiteError, put
from bench.variant import description_of, resolve_variant
from mtmm.settings import Path, Problem, nearest

Config = Mapping[str, Any]
Choice = Sequence[tuple[Path, Path, Any]]
"""What a variant overrides: where it belongs, where it stands in the file, the value."""

_MAX_COMBINATIONS = 10_000


@dataclass(frozen=True, slots=True)
class Variant:
    """One resolved configuration of a suite, without its seed."""

    name: str
    config: Config


@dataclass(frozen=True, slots=True)
class Skip:
    """A combination of a sweep that has no meaning, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a suite asks for; `single_task` names the single-task twin of a variant, if planned."""

    suite: Suite
    variants: tuple[Variant, ...]
    baseline: str
    single_task: Mapping[str, str]
    skips: tuple[Skip, ...]

    def cells(self, device_type: str) -> dict[tuple[str, int], TrainCell]:
        """The train cells by variant and seed, seed by seed, so that every variant advances."""
        prints = {v.name: description_of(v.config).fingerprint for v in self.variants}
        return {
            (v.name, seed): TrainCell(v.config, seed, prints[v.name], device_type)
            for seed in self.suite.seeds
            for v in self.variants
        }

    def arms(self) -> dict[str, TimingArm]:
        """The arm of each variant; variants whose steps cost the same share one."""
        return {variant.name: TimingArm(timed_part(variant.config)) for variant in self.variants}

    def blocks(self, device_name: str) -> list[TimingBlock]:
        """The timing blocks: all arms together, once for each mode and batch size."""
        timing = self.suite.timing
        if timing is None:
            return []
        arms = tuple({arm.id: arm for arm in self.arms().values()}.values())
        prints = {description_of(arm.config).fingerprint for arm in arms}
        base = next(v.config for v in self.variants if v.name == self.baseline)
        sizes = timing.batch_sizes or (base["train"]["batch_size"],)
        return [
            TimingBlock(arms, tuple(sorted(prints)), size, mode, timing.budget_s, device_name)
            for mode in timing.modes
            for size in sizes
        ]


@dataclass(slots=True)
class _Expansion:
    """What a sweep came to: configurations without duplicates, and what went wrong on the way."""

    suite: Suite
    configs: dict[str, Config] = field(default_factory=dict)
    skipped: dict[str, tuple[Config, str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, choice: Choice) -> str | None:
        """Resolve one variant and keep it; its key, or None where it was refused or skipped."""
        raw: dict[str, Any] = deepcopy(dict(self.suite.base))
        # A component before its settings, whichever the file names first.
        for target, source, value in sorted(choice, key=lambda override: len(override[0])):
            try:
                put(raw, target, value)
            except ValueError as error:
                self.problems.append(Problem(source, str(error)))
                return None
        problems: list[Problem] = []
        config = resolve_variant(raw, problems)
        if not problems:
            key = _key(config)
            self.configs.setdefault(key, config)
            return key
        if choice and all(problem.combination for problem in problems):
            self.skipped.setdefault(_key(config), (config, "; ".join(p.message for p in problems)))
        else:
            self.problems += [
                _placed(p, choice, self.suite) for p in problems if _counts(p, choice)
            ]
        return None


def make_plan(suite: Suite) -> Plan:
    """Expand and validate a suite; raises SuiteError with everything that is wrong with it."""
    expansion = _expand(suite)
    if expansion.problems:
        raise SuiteError(suite.document, expansion.problems)
    configs = [*expansion.configs.values(), *(config for config, _ in expansion.skipped.values())]
    names = variant_names(configs, _targets(suite))
    variants = tuple(map(Variant, names, expansion.configs.values()))
    reasons = [reason for _, reason in expansion.skipped.values()]
    return Plan(
        suite=suite,
        variants=variants,
        baseline=_baseline(suite, expansion, variants),
        single_task=_single_task(variants),
        skips=tuple(map(Skip, names[len(variants) :], reasons)),
    )


def _expand(suite: Suite) -> _Expansion:
    combinations = sum(math.prod(len(axis.values) for axis in block) for block in suite.sweep)
    if combinations > _MAX_COMBINATIONS:
        text = f"at most {_MAX_COMBINATIONS:,} combinations; found {combinations:,}"
        raise SuiteError(suite.document, [Problem(("sweep",), text)])
    expansion = _Expansion(suite)
    expansion.add(())
    for block in suite.sweep:
        for choice in itertools.product(*map(_choices, block)):
            expansion.add(choice)
    return expansion


def _choices(axis: Axis) -> list[tuple[Path, Path, Any]]:
    return [(axis.target, (*axis.source, i), value) for i, value in enumerate(axis.values)]


def _targets(suite: Suite) -> list[Path]:
    return list(dict.fromkeys(axis.target for block in suite.sweep for axis in block))


def _counts(problem: Problem, choice: Choice) -> bool:
    # In a sweep a meaningless combination is skipped; only the mistakes beside it are told.
    return not (choice and problem.combination)


def _placed(problem: Problem, choice: Choice, suite: Suite) -> Problem:
    """The problem at its place in the file: in the axis it comes from, else in the base."""
    # The innermost axis first: of a component and its setting, swept together, it is the setting.
    for target, source, _ in sorted(choice, key=lambda override: -len(override[0])):
        shared = min(len(target), len(problem.path))
        if target[:shared] == problem.path[:shared]:
            return Problem((*source, *problem.path[len(target) :]), problem.message)
    return suite.placed(problem)


def _baseline(suite: Suite, expansion: _Expansion, variants: Sequence[Variant]) -> str:
    key = expansion.add([(axis.target, axis.source, axis.values[0]) for axis in suite.baseline])
    if expansion.problems:
        raise SuiteError(suite.document, expansion.problems)
    keys = list(expansion.configs)[: len(variants)]
    if key not in keys:
        names = [variant.name for variant in variants]
        text = (
            "the base with these settings is none of the planned variants"
            f"{nearest('-'.join(str(a.values[0]) for a in suite.baseline), names)}"
            f" (there are: {', '.join(names[:20])})"
        )
        raise SuiteError(suite.document, [Problem(("baseline",), text)])
    return variants[keys.index(key)].name


def _single_task(variants: Sequence[Variant]) -> dict[str, str]:
    by_key = {_key(variant.config): variant.name for variant in variants}
    twins = {}
    for variant in variants:
        model = {**variant.config["model"], "sharing": {"name": "separate"}}
        twin = by_key.get(_key({**variant.config, "model": model, "weighting": {"name": "equal"}}))
        if twin is not None and twin != variant.name:
            twins[variant.name] = twin
    return twins


def _key(config: Config) -> str:
    return json.dumps(config, sort_keys=True)
