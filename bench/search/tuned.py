"""After a search: the tuned arms beside the untuned ones, as a suite like any other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from bench.conditions import Family
from bench.overrides import Choice, Override
from bench.planning import Plan, Variant
from bench.suite import Suite
from bench.variant import KEYS

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the search of one arm came to: the best configuration, and what it took."""

    arm: Variant
    config: Config | None
    """None where no trial was completed."""
    value: float
    params: Mapping[str, Any]
    finished: int
    pruned: int
    failed: int
    samples: int

    @property
    def label(self) -> str:
        """What the tuned arm is called."""
        return f"{self.arm.name}-tuned"


def folder_of(suite: str) -> str:
    """The name of the suite that compares the tuned arms, and of its folder."""
    return f"{suite}-tuned"


def tuned_suite(suite: Suite, arms: Plan, found: Sequence[Found]) -> Suite:
    """Every arm, tuned and as it is; the baseline is the tuned one of the suite's baseline."""
    base, *_ = arms.variants
    blocks = []
    baseline: Choice = ()
    for one in found:
        blocks.append(((_choice(one.arm.config, base.config, one.arm.name),),))
        if one.config is None:
            continue
        choice = _choice(one.config, base.config, one.label)
        blocks.append(((choice,),))
        if one.arm.name == arms.baseline:
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


def suite_file(suite: Suite, one: Found) -> str:
    """The best configuration of an arm, as the text of a suite that is ready to run."""
    value = {
        "name": re.sub(r"[^\w.-]", "_", f"{suite.name}-{one.label}")[:100],
        "question": f"{one.arm.name} as tuned: {suite.question}".strip(),
        **{key: one.config[key] for key in KEYS if one.config is not None},
        "seeds": list(suite.seeds),
    }
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)


def _choice(config: Config, base: Config, label: str) -> Choice:
    """What makes the base this configuration: whole parts, the first of which has the label."""
    parts = [key for key in KEYS if config[key] != base[key]] or ["train"]
    return tuple(
        Override((key,), ("search",), config[key], label=label if i == 0 else "")
        for i, key in enumerate(parts)
    )
