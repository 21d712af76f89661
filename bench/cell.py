"""Units of work and what makes two of them the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import version
from typing import Any

from bench.optimization import OPTIMIZERS
from bench.source import (
    PROFILING_CORE,
    TIMING_CORE,
    TRAINING_CORE,
    component_hash,
    core_hash,
    named_hash,
)
from bench.variant import description_of
from mtmm.configuration import MODELS
from mtmm.encoders import ENCODERS
from mtmm.registry import settings_in
from mtmm.settings import Component, settings_of
from mtmm.source import combine
from mtmm.weighting import WEIGHTINGS

Config = Mapping[str, Any]

IDENTITY_VERSION = 2
"""Part of every identity; a new one makes every unit run again.

To be raised when numbers or times change for a reason that no identity holds: neither settings nor
data, PyTorch or the source that is hashed. What the files of records look like is no such reason.
"""


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
                "config": _numeric(self.config),
                "seed": self.seed,
                "data": self.fingerprint,
                "device": self.device_type,
                "torch": _torch_version(),
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
                "torch": _torch_version(),
                "source": core_hash(TRAINING_CORE + TIMING_CORE),
            }
        )

    def record_id(self, arm: TimingArm) -> str:
        """The identity of one arm's record in this block."""
        return identity({"block": self.id, "arm": arm.id})


@dataclass(frozen=True)
class ProfileUnit:
    """One variant's training step under the profiler, on one device and at one batch size."""

    arm: TimingArm
    fingerprint: str
    batch_size: int
    device_name: str

    @cached_property
    def id(self) -> str:
        """The identity of its record."""
        return identity(
            {
                "kind": "profile",
                "arm": self.arm.id,
                "data": self.fingerprint,
                "batch_size": self.batch_size,
                "device": self.device_name,
                "torch": _torch_version(),
                "source": core_hash(TRAINING_CORE + PROFILING_CORE),
            }
        )


def _numeric(config: Config) -> dict[str, Any]:
    """The part of a variant that can change a number."""
    train = {k: value for k, value in config["train"].items() if k not in ("checkpoint", "keep")}
    return {**config, "train": train}


@cache
def _torch_version() -> str:
    return version("torch")


_TIMED = (
    "optimizer",
    "clip_norm",
    "class_weights",
    "freeze",
    "lr_scale",
    "threads",
    "loader_workers",
)
"""The settings of `train:` that change the cost of a step, batch size apart."""

_SOME = 0.01  # in place of a number whose default is 0


def timed_part(config: Config) -> dict[str, Any]:
    """The part of a variant that decides what a step costs.

    A rate or a bound costs the same whatever number it is: each is replaced by one that stands for
    all of them.
    """
    train = {key: config["train"][key] for key in _TIMED}
    optimizer, scale = train["optimizer"], train["lr_scale"] or {}
    declared = settings_of(OPTIMIZERS[optimizer["name"]])
    train["optimizer"] = {
        # A momentum or decay of 0 saves work.
        key: (declared[key].default or _SOME) if isinstance(value, float) and value else value
        for key, value in optimizer.items()
    }
    if train["clip_norm"] is not None:
        train["clip_norm"] = 1.0
    # What has one rate is stepped together.
    groups = dict.fromkeys([1.0, *(scale[part] for part in sorted(scale))])
    number = {factor: float(i) for i, factor in enumerate(groups, start=1)}
    train["lr_scale"] = {part: number[factor] for part, factor in scale.items()} or None
    timed = {key: value for key, value in config.items() if key != "robustness"}
    return {**timed, "train": train, "weighting": _timed_weighting(config["weighting"])}


def _timed_weighting(weighting: Config) -> dict[str, Any]:
    """A weighting in which every number, and every list of them, stands for all others."""
    method: Component = WEIGHTINGS[weighting["name"]]
    declared, made = settings_of(method), {}
    for key, value in weighting.items():
        if isinstance(value, float) and value:
            made[key] = declared[key].default or _SOME
        elif isinstance(value, list):
            made[key] = [1.0] * len(value)
        else:
            made[key] = value
    return made


def identity(payload: Mapping[str, Any]) -> str:
    """SHA-256 over the payload, whatever the order of its keys, as 32 hexadecimal digits."""
    text = json.dumps({"schema": IDENTITY_VERSION, **payload}, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def source_of(config: Config) -> str:
    """A hash over the source of the components a variant uses, and what their weights come from."""
    optimizer = OPTIMIZERS[config["train"]["optimizer"]["name"]]
    used = (named_hash(kind, name) for kind, name in components_of(config))
    return combine([*used, component_hash(optimizer), *_contents(config)])


def _contents(config: Config) -> Iterator[str]:
    """What encoders, or a model of one's own, start from besides a seed: see `Encoder.content`."""
    model = config["model"]
    if "name" in model:
        told = getattr(MODELS[model["name"]], "content", None)
        yield from [] if told is None else [str(told(**settings_in(model)))]
        return
    for modality in config["modalities"]:
        encoder = model["encoders"][modality]
        content = ENCODERS[encoder["name"]].content(**settings_in(encoder))
        if content:
            yield content


def components_of(config: Config) -> list[tuple[str, str]]:
    """Kind and name of every component of `mtmm` that a variant is made of."""
    model = config["model"]
    if "name" in model:
        parts = [("model", model["name"])]
        heads = {task.kind for task in description_of(config).tasks}
    else:
        heads = {head["name"] for head in model["heads"].values()}
        encoders = (model["encoders"][name]["name"] for name in config["modalities"])
        parts = [
            *(("encoder", name) for name in encoders),
            ("fusion", model["fusion"]["name"]),
            ("sharing", model["sharing"]["name"]),
        ]
    return [
        ("dataset", config["dataset"]["name"]),
        *parts,
        ("weighting", config["weighting"]["name"]),
        *(("head", name) for name in sorted(heads)),
    ]
