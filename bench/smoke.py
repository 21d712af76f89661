"""The smoke form of a suite: every variant once, a few steps, little data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench.suite import Suite
from bench.variant import describe
from mtmm.data import DATASETS
from mtmm.settings import Problem, settings_of

STEPS = 4
BATCH_SIZE = 32
LIMIT = 240
"""Samples of a data set that has a setting `limit`."""

TIMED_BATCH_SIZE = 8
BUDGET_S = 0.1


def smoke(suite: Suite) -> Suite:
    """The suite under a name of its own, with one seed and the shortest timing."""
    timing = suite.timing
    if timing is not None:
        timing = replace(timing, batch_sizes=(TIMED_BATCH_SIZE,), budget_s=BUDGET_S)
    name = f"{suite.name[:93]}-smoke"
    return replace(suite, name=name, seeds=suite.seeds[:1], timing=timing, smoke=True)


def shrunk(config: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved variant with fewer steps, smaller batches and, where it has `limit`, less data."""
    train = config["train"]
    short = {
        **train,
        "epochs": 1,
        "max_steps": min(train["max_steps"] or STEPS, STEPS),
        "batch_size": min(train["batch_size"], BATCH_SIZE),
    }
    return {**config, "train": short, "dataset": _limited(config["dataset"])}


def _limited(dataset: Mapping[str, Any]) -> Mapping[str, Any]:
    if "limit" not in settings_of(DATASETS[dataset["name"]]):
        return dataset
    given = dataset["limit"]
    if given is not None and not isinstance(given, int):
        return dataset
    limited = {**dataset, "limit": min(given or LIMIT, LIMIT)}
    problems: list[Problem] = []
    describe(limited, problems)
    # A data set that cannot be that small is taken as it is.
    return dataset if problems else limited
