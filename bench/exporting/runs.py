"""The train records of a suite as runs, the way trackers think of them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.records import FINE, Record
from bench.report.frame import Results, flatten, load_results
from bench.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What an epoch came to: columns `epoch.<what>`."""

    epoch: int
    measures: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A train record, under its variant and seed."""

    suite: str
    variant: str
    seed: int
    record: str
    """Identity of the record."""
    status: str
    reason: str
    started: str
    config: Mapping[str, Any]
    """Settings by dotted path, and `variant` and `seed`."""
    measures: Mapping[str, float]
    """The numbers of the frame's row, and of its variant's timings as `time.<mode>.<size>.<what>`,
    by the names of the columns."""
    curve: Sequence[Point]

    @property
    def id(self) -> str:
        """Sixteen hexadecimal digits, the same whenever the record is exported."""
        return _digest([self.suite, self.variant, self.seed, self.record])[:16]

    @property
    def content(self) -> str:
        """What differs as soon as anything in the run does."""
        return _digest(asdict(self))

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.variant}, seed {self.seed}"

    @property
    def fine(self) -> bool:
        """Whether it has not failed."""
        return self.status in FINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of the runs that were to be exported."""

    where: Path
    written: int
    same: int
    """Runs that had been exported before and have not changed."""


def runs_of(folder: Path) -> tuple[list[Run], int]:
    """A run for each train record of a suite, and how many cells have none that can be read.

    Raises InputError where there are no results of a suite.
    """
    results = load_results(folder)
    store = Store(results.folder.parent)
    timings = _timings(results)
    configs = {
        variant["name"]: _unprefixed(flatten(variant["config"], "config"))
        for variant in results.manifest["variants"]
    }
    runs, without = [], 0
    rows: list[dict[str, Any]] = results.frame.to_dict("records")  # type: ignore[assignment]
    for row, unit in zip(rows, results.units, strict=True):
        if row["kind"] != "train":
            continue
        record = store.read(unit.record)
        if record is None:
            without += 1
            continue
        variant, seed = unit.variant, int(row["seed"])
        runs.append(
            Run(
                suite=row["suite"],
                variant=variant,
                seed=seed,
                record=unit.record,
                status=unit.status,
                reason=unit.reason,
                started=unit.started,
                config={"variant": variant, "seed": seed, **configs[variant]},
                measures=_measures(row) | timings.get(variant, {}),
                curve=[*_curve(record)],
            )
        )
    return runs, without


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _unprefixed(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix("config."): value for name, value in config.items()}


def _measures(row: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a row but those that say whose it is."""
    own = {name: x for name, x in row.items() if name != "seed" and not name.startswith("config.")}
    return _numbers(own)


def _timings(results: Results) -> dict[str, dict[str, float]]:
    """The numbers of the timings of each variant."""
    found: dict[str, dict[str, float]] = {}
    timed = results.frame[results.frame["kind"] == "time"]
    rows: list[dict[str, Any]] = timed.to_dict("records")  # type: ignore[assignment]
    for row in rows:
        mode, size = row.get("time.mode"), row.get("time.batch_size")
        if isinstance(mode, str) and size is not None:
            prefix = f"time.{mode}.{size:g}."
            numbers = {prefix + k.removeprefix("time."): x for k, x in _measures(row).items()}
            numbers.pop(f"{prefix}batch_size")
            found.setdefault(row["variant"], {}).update(numbers)
    return found


def _curve(record: Record) -> Iterator[Point]:
    for point in record.get("curve") or ():
        gradients = point.get("gradients", {})
        told = {
            **flatten(point.get("loss", {}), "epoch.loss"),
            **flatten(point.get("val", {}), "epoch.val"),
            "epoch.val.score": point.get("val_score"),
            **flatten(point.get("weights", {}), "epoch.weight"),
            **flatten(gradients.get("norms", {}), "epoch.gradient_norm"),
            **flatten(gradients.get("cosines", {}), "epoch.gradient_cosine"),
            "epoch.conflict_rate": gradients.get("conflict_rate"),
        }
        yield Point(epoch=point["epoch"], measures=_numbers(told))


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Those that are finite numbers, of Python; true and false as 1 and 0."""
    plain = {name: getattr(value, "item", lambda v=value: v)() for name, value in values.items()}
    return {
        name: int(value) if isinstance(value, bool) else value
        for name, value in plain.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
