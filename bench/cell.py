"""Units of work and what makes two of them the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

from bench.optimization import OPTIMIZERS
from bench.source import TIMING_CORE, TRAINING_CORE, component_hash, core_hash
from mtmm.data import DATASETS
from mtmm.encoders import ENCODERS
from mtmm.fusion import FUSIONS
from mtmm.settings import Component
from mtmm.sharing import SHARINGS
from mtmm.source import combine
from mtmm.weighting import WEIGHTINGS

SCHEMA_VERSION = 1

Config = Mapping[str, Any]


@dataclass(frozen=True)
class TrainCell:
    """One variant, one seed: a unit of training."""

    config: Config
    seed: int
    fingerprint: str
    device_type: str

    @cached_property
    def id(self) -> str:
        """The identity: equal for cells that would give equal numbers."""
        return identity(
            {
                "kind": "train",
                "config": self.config,
                "seed": self.seed,
                "data": self.fingerprint,
                "device": self.device_type,
                "torch": version("torch"),
                "source": combine([core_hash(TRAINING_CORE), source_of(self.config)]),
            }
        )


@dataclass(frozen=True)
class TimingArm:
    """One variant in a timing block; epochs and schedule play no part in it."""

    config: Config

    @cached_property
    def id(self) -> str:
        """The identity of what is timed, apart from device, batch size and mode."""
        return identity({"config": self.config, "source": source_of(self.config)})


@dataclass(frozen=True)
class TimingBlock:
    """Arms that are timed together: one device, batch size and mode."""

    arms: tuple[TimingArm, ...]
    fingerprints: tuple[str, ...]
    batch_size: int
    mode: str
    budget_s: float
    device_name: str

    @cached_property
    def id(self) -> str:
        """The identity of the block; a new arm makes a new block."""
        return identity(
            {
                "kind": "time",
                "arms": sorted(arm.id for arm in self.arms),
                "data": sorted(self.fingerprints),
                "batch_size": self.batch_size,
                "mode": self.mode,
                "budget_s": self.budget_s,
                "device": self.device_name,
                "torch": version("torch"),
                "source": core_hash(TRAINING_CORE + TIMING_CORE),
            }
        )

    def record_id(self, arm: TimingArm) -> str:
        """The identity of one arm's record in this block."""
        return identity({"block": self.id, "arm": arm.id})


def timed_part(config: Config) -> dict[str, Any]:
    """The part of a variant that decides what a step costs."""
    train = {key: config["train"][key] for key in ("optimizer", "threads")}
    return {**config, "train": train}


def identity(payload: Mapping[str, Any]) -> str:
    """SHA-256 over the payload, whatever the order of its keys, as 32 hexadecimal digits."""
    text = json.dumps({"schema": SCHEMA_VERSION, **payload}, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def source_of(config: Config) -> str:
    """A hash over the source of the components a variant uses."""
    model = config["model"]
    used: list[Component] = [
        DATASETS[config["dataset"]["name"]],
        *(ENCODERS[model["encoders"][name]["name"]] for name in config["modalities"]),
        FUSIONS[model["fusion"]["name"]],
        SHARINGS[model["sharing"]["name"]],
        WEIGHTINGS[config["weighting"]["name"]],
        OPTIMIZERS[config["train"]["optimizer"]["name"]],
    ]
    return combine(map(component_hash, used))
