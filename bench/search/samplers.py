"""What proposes the settings of a trial, and what gives one up."""

from __future__ import annotations

import hashlib
import warnings

from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, WilcoxonPruner
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
    RandomSampler,
    TPESampler,
)

from bench.searches import Search


def sampler_of(search: Search, text: str) -> BaseSampler:
    """The sampler of one trial; its seed follows from the search's and `text`."""
    digest = hashlib.sha256(f"{search.seed}/{text}".encode()).digest()
    seed = int.from_bytes(digest[:4], "big") % 2**31
    match search.sampler:
        case "tpe":
            return TPESampler(seed=seed)
        case "gp":
            return GPSampler(seed=seed)
        case "cmaes":
            return CmaEsSampler(seed=seed)
        case "nsga2":
            # Optuna's 50 would leave most searches in their first, random generation.
            return NSGAIISampler(seed=seed, population_size=max(4, min(50, search.trials // 5)))
        case _:  # a grid has proposed all before it is asked
            return RandomSampler(seed=seed)


def pruner_of(search: Search, epochs: int) -> BasePruner:
    """The pruner of a study whose trials train for so many epochs at most."""
    match search.pruner:
        case "median":
            return MedianPruner()
        case "hyperband":
            return HyperbandPruner(max_resource=epochs)
        case "wilcoxon":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                return WilcoxonPruner()
        case _:
            return NopPruner()
