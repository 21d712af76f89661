"""From a suite to its variants and units of work; everything is validated here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from bench.cell import ProfileUnit, TimingArm, TimingBlock, TrainCell, timed_part
from bench.expansion import Expansion, expand, key_of
from bench.family import members
from bench.matching import MATCH, WIDTH
from bench.naming import distinct, variant_names
from bench.numerics import needs_cuda
from bench.overrides import MAPPINGS, Choice
from bench.smoke import shrunk
from bench.suite import Suite, SuiteError
from bench.variant import description_of
from mtmm.settings import Path, Problem, dotted, nearest

Config = dict[str, Any]

ALONE = {"sharing": {"name": "separate"}, "weighting": {"name": "equal"}}
"""What makes a variant single-task learning: each task trained as it would be alone."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One resolved configuration of a suite, without its seed.

    `parameters` is their number, at most; None for a model of one's own. `varied` are the
    settings that the suite chose for it, `ablation` says that its `ablate` section did.
    """

    name: str
    config: Config
    parameters: int | None
    varied: tuple[str, ...] = ()
    ablation: bool = False


@dataclass(frozen=True, slots=True)
class Skip:
    """A combination that is not run, and why."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True, repr=False)
class Plan:
    """What a suite asks for.

    `variants` are compared and timed; the base comes first. `twins` are single-task variants that
    nobody asked for but Δm needs: trained, not timed, without a verdict. `single_task` names the
    single-task twin of a variant, out of both. The variants of the `family` get verdicts, against
    the baseline and, where the suite has candidates for it, the best of `best_of`.
    """

    suite: Suite
    variants: tuple[Variant, ...]
    twins: tuple[Variant, ...]
    baseline: str
    family: tuple[str, ...]
    best_of: tuple[str, ...]
    single_task: Mapping[str, str]
    skips: tuple[Skip, ...]

    def __repr__(self) -> str:
        """What a notebook shows: the names, not every setting."""
        size = f"{len(self.variants)} variants × {len(self.suite.seeds)} seeds"
        names = ", ".join(variant.name for variant in self.variants)
        skipped = f"; skipped: {', '.join(s.name for s in self.skips)}" if self.skips else ""
        return f"<{self.suite.name}: {size}, baseline {self.baseline}: {names}{skipped}>"

    def check_device(self, device: torch.device) -> None:
        """SuiteError where the base or the baseline cannot be had on `device`.

        Of the other variants, those that cannot are skipped when they are run.
        """
        base, *_ = self.variants
        baseline = next(v for v in self.variants if v.name == self.baseline)
        for variant, place in ((base, ("numerics",)), (baseline, ("baseline", "numerics"))):
            missing = needs_cuda(variant.config["numerics"], device)
            if missing is not None:
                problem = Problem((*place, missing[0]), missing[1])
                raise SuiteError(self.suite.document, [self.suite.placed(problem)])

    def cells(self, device_type: str) -> dict[tuple[str, int], TrainCell]:
        """The train cells by variant and seed, seed by seed, so that every variant advances."""
        trained = (*self.variants, *self.twins)
        prints = {v.name: description_of(v.config).fingerprint for v in trained}
        return {
            (v.name, seed): TrainCell(v.config, seed, prints[v.name], device_type)
            for seed in self.suite.seeds
            for v in trained
        }

    @cached_property
    def arms(self) -> dict[str, TimingArm]:
        """The arm of each variant; variants whose steps cost the same share one."""
        return {variant.name: TimingArm(timed_part(variant.config)) for variant in self.variants}

    def profiles(self, device_name: str) -> dict[str, ProfileUnit]:
        """What is profiled of each variant: its training step at the first batch size timed."""
        timing, (base, *_) = self.suite.timing, self.variants
        sizes = timing.batch_sizes if timing is not None else ()
        size = (sizes or (base.config["train"]["batch_size"],))[0]
        return {
            variant.name: ProfileUnit(
                self.arms[variant.name],
                description_of(variant.config).fingerprint,
                size,
                device_name,
            )
            for variant in self.variants
        }

    def blocks(self, device_name: str) -> list[TimingBlock]:
        """The timing blocks: all arms together, once for each mode and batch size."""
        timing = self.suite.timing
        if timing is None:
            return []
        arms = tuple({arm.id: arm for arm in self.arms.values()}.values())
        prints = {description_of(arm.config).fingerprint for arm in arms}
        base, *_ = self.variants
        sizes = timing.batch_sizes or (base.config["train"]["batch_size"],)
        return [
            TimingBlock(arms, tuple(sorted(prints)), size, mode, timing.budget_s, device_name)
            for mode in timing.modes
            for size in sizes
        ]


def make_plan(suite: Suite) -> Plan:
    """Expand and validate a suite; raises SuiteError with everything that is wrong with it."""
    expansion = expand(suite)
    planned, skipped = dict(expansion.configs), dict(expansion.skipped)
    origins = dict(expansion.origins)
    baseline = expansion.add(suite.baseline)
    if suite.problems or expansion.problems:
        raise SuiteError(suite.document, [*suite.problems, *expansion.problems])
    names = _names({**planned, **{k: config for k, (config, _) in skipped.items()}}, origins, suite)
    if baseline not in planned:
        _, reason = expansion.skipped.get(baseline or "", ({}, ""))
        told = _no_baseline(suite, [names[key] for key in planned], reason)
        raise SuiteError(suite.document, [told])
    family, best_of = members(suite, planned, baseline)
    twin_of, twins = _single_task(suite, expansion, planned)
    of_twins = _twin_names(twins, twin_of, origins, suite)
    told_names = distinct([*names.values(), *of_twins.values()])
    names = dict(zip([*names, *of_twins], told_names, strict=True))

    def variant(key: str, config: Config) -> Variant:
        choice = origins.get(key, ())
        return Variant(
            name=names[key],
            config=shrunk(config) if suite.smoke else config,
            parameters=expansion.resolver.parameters(config),
            varied=tuple(dict.fromkeys(dotted(override.target) for override in choice)),
            ablation=key in expansion.ablated,
        )

    return Plan(
        suite=suite,
        variants=tuple(variant(*item) for item in planned.items()),
        twins=tuple(variant(*item) for item in twins.items()),
        baseline=names[baseline],
        family=tuple(names[key] for key in family),
        best_of=tuple(names[key] for key in best_of),
        single_task={names[key]: names[twin] for key, twin in twin_of.items()},
        skips=tuple(Skip(names[key], reason) for key, (_, reason) in skipped.items()),
    )


def _names(
    configs: Mapping[str, Config], origins: Mapping[str, Choice], suite: Suite
) -> dict[str, str]:
    """A name for each configuration, out of what was chosen for it."""
    chosen = {key: frozenset(o.target for o in origins.get(key, ())) for key in configs}
    # The base, where no choice led to it, is told by what all others chose.
    common = (
        frozenset.intersection(*(c for c in chosen.values() if c))
        if any(chosen.values())
        else frozenset()
    )
    shown = [targets or common for targets in chosen.values()]
    names = variant_names(list(configs.values()), _targets(suite), shown)
    labels = {key: "-".join(o.label for o in origins.get(key, ()) if o.label) for key in configs}
    told = [labels[key] or name for key, name in zip(configs, names, strict=True)]
    return dict(zip(configs, distinct(told), strict=True))


def _targets(suite: Suite) -> list[Path]:
    """Everything a suite varies, in the order of the file."""
    swept = (override for block in suite.sweep for axis in block for override in axis[0])
    replaced = (override for choice in suite.replacements for override in choice)
    removed = ((removal.key,) for removal in suite.removals)
    varied = [*(o.target for o in swept), *(o.target for o in replaced), *removed]
    # A mapping of names is told as a whole: what it resolves to may have other names.
    # What `match` leads to is told as a width.
    told = (WIDTH if t == MATCH else t for t in varied)
    return list(dict.fromkeys(t[:2] if t[:2] in MAPPINGS else t for t in told))


def _no_baseline(suite: Suite, names: Sequence[str], reason: str) -> Problem:
    if reason:
        text = f"the base with these settings is not run: {reason}"
        return Problem(("baseline",), text)
    wanted = "-".join(str(override.value) for override in suite.baseline)
    text = (
        "the base with these settings is none of the planned variants"
        f"{nearest(wanted, names)} (there are: {', '.join(names[:20])})"
    )
    return Problem(("baseline",), text)


def _single_task(
    suite: Suite, expansion: Expansion, planned: Mapping[str, Config]
) -> tuple[dict[str, str], dict[str, Config]]:
    """The key of each variant's single-task twin, and the twins that are not planned otherwise."""
    varied = any(map(_of_tasks, _targets(suite)))
    if not varied:
        return {}, {}
    wanted = suite.single_task == "auto"
    twin_of: dict[str, str] = {}
    twins: dict[str, Config] = {}
    for key, config in planned.items():
        twin = _alone(config, expansion)
        twin_key = key if twin is None else key_of(twin)
        if twin is None or twin_key == key or twin_key in expansion.skipped:
            continue
        if twin_key not in planned and not wanted:
            continue
        twin_of[key] = twin_key
        if twin_key not in planned:
            twins[twin_key] = twin
    return twin_of, twins


def _of_tasks(target: Path) -> bool:
    """Whether varying this asks how tasks get along: what Δm is for."""
    return target[0] == "weighting" or target == ("model",) or target[:2] == ("model", "sharing")


def _alone(config: Config, expansion: Expansion) -> Config | None:
    """The variant with each task alone; None where there is no such thing."""
    if "sharing" not in config["model"] or len(config["tasks"]) < 2:
        return None
    model = {**config["model"], "sharing": ALONE["sharing"]}
    train = {**config["train"], "diagnostics": None}  # alone there is nothing to compare
    alone = {**config, "model": model, "weighting": ALONE["weighting"], "train": train}
    return expansion.resolved(alone)


def _twin_names(
    twins: Mapping[str, Config],
    twin_of: Mapping[str, str],
    origins: Mapping[str, Choice],
    suite: Suite,
) -> dict[str, str]:
    """`single-task`, and what the first variant of which it is the twin chose besides."""
    first = {twin: key for key, twin in reversed(list(twin_of.items()))}
    rest = {
        twin: tuple(o for o in origins.get(first[twin], ()) if not _of_tasks(o.target))
        for twin in twins
    }
    names = _names(twins, rest, suite)
    return {
        twin: "single-task" if not rest[twin] else f"single-task-{name}"
        for twin, name in names.items()
    }
