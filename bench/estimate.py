"""How long what is missing will take, judged by the records that are there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.cell import TimingBlock, TrainCell
from bench.store import Record

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Seconds of training and, at most, of timing that are left.

    `alike` cells are judged by records of the same model and data, `guessed` ones by records of
    other models on the same data, as their median; `unknown` ones by nothing: they are not in
    `train_s`.
    """

    train_s: float
    timing_s: float
    alike: int
    guessed: int
    unknown: int


def estimate(
    cells: Sequence[TrainCell], blocks: Sequence[TimingBlock], records: Iterable[Record]
) -> Estimate:
    """The time that these units, all of them missing, will take one after another."""
    same, similar = _epoch_seconds(records)
    seconds = [_of(cell, same, _cost_key(cell.config)) for cell in cells]
    guesses = [
        _of(cell, similar, _data_key(cell.config)) if known is None else None
        for cell, known in zip(cells, seconds, strict=True)
    ]
    known = [value for value in seconds if value is not None]
    guessed = [value for value in guesses if value is not None]
    return Estimate(
        train_s=sum(known) + sum(guessed),
        timing_s=sum(block.budget_s for block in blocks),
        alike=len(known),
        guessed=len(guessed),
        unknown=len(cells) - len(known) - len(guessed),
    )


def _epoch_seconds(records: Iterable[Record]) -> tuple[dict[str, float], dict[str, float]]:
    """Median seconds of an epoch, by what decides its cost and by data alone."""
    same: dict[str, list[float]] = {}
    similar: dict[str, list[float]] = {}
    for record in records:
        if record["kind"] == "train" and record["status"] == "ok" and record["curve"]:
            seconds = record["seconds"] / len(record["curve"])
            same.setdefault(_cost_key(record["config"]), []).append(seconds)
            similar.setdefault(_data_key(record["config"]), []).append(seconds)
    return _medians(same), _medians(similar)


def _medians(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {key: median(of_key) for key, of_key in values.items()}


def _of(cell: TrainCell, seconds: Mapping[str, float], key: str) -> float | None:
    per_epoch = seconds.get(key)
    return None if per_epoch is None else per_epoch * float(cell.config["train"]["epochs"])


def _cost_key(config: Config) -> str:
    train = {key: config["train"][key] for key in ("batch_size", "threads", "max_steps")}
    parts = ("dataset", "modalities", "tasks", "model", "numerics")
    return json.dumps([{part: config[part] for part in parts}, train], sort_keys=True)


def _data_key(config: Config) -> str:
    parts = ("dataset", "modalities")
    train = {key: config["train"][key] for key in ("batch_size", "max_steps")}
    return json.dumps([{part: config[part] for part in parts}, train], sort_keys=True)
