"""The configurations that a space makes of an arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bench.expansion import agrees
from bench.overrides import OverrideError, apply
from bench.space import Entry, Proposer
from bench.variant import Resolver
from mtmm.settings import Problem

Config = dict[str, Any]


def configured(
    arm: Config, space: Sequence[Entry], proposer: Proposer, resolver: Resolver
) -> tuple[Config, list[Problem]]:
    """An arm with proposed values for what is searched, resolved; with all that is wrong with it.

    An entry is proposed only where the settings before it agree with its `when`.
    """
    raw, problems = arm, list[Problem]()
    for entry in space:
        if entry.when and not agrees(raw, entry.when):
            continue
        value = entry.propose(proposer, len(arm["tasks"]))
        try:
            raw = apply(raw, (replace(entry.override, value=value),))
        except OverrideError as error:
            problems.append(Problem(error.source, str(error)))
    return resolver.resolve(raw, problems), problems


def epochs(arm: Config, space: Sequence[Entry]) -> int:
    """The epochs that a configuration of the arm trains at most."""
    ends = [arm["train"]["epochs"]]
    for entry in space:
        if entry.name == "train.epochs":
            ends += entry.choices or (entry.high,)
        elif entry.name == "train":
            ends += [choice.get("epochs", 0) for choice in entry.choices]
    return int(max(ends))
