"""How long what is missing will take, judged by the records that are there."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.cell import TimingBlock, TrainCell
from bench.records import Record

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Seconds of training and, at most, of timing that are left.

    `alike` cells are judged by records of the same model and data, `guessed` ones by records of
    other models on the same data; `unknown` ones by nothing: they are not in `train_s`. Of
    `open_ended` cells `patience` decides how long they take, and no other seed says when: they
    are in `train_s` at their full length.
    """

    train_s: float
    timing_s: float
    alike: int
    guessed: int
    unknown: int
    open_ended: int


def estimate(
    cells: Sequence[TrainCell], blocks: Sequence[TimingBlock], records: Iterable[Record]
) -> Estimate:
    """The time that these units, all of them missing, will take one after another."""
    past = _Past(records)
    train_s, alike, guessed, open_ended = 0.0, 0, 0, 0
    for config in (cell.config for cell in cells):
        steps, same = past.steps(config), past.same.get(_cost_key(config))
        step_s = same or past.similar.get(_data_key(config))
        if steps is None or step_s is None:
            continue
        train_s += steps * step_s.value
        alike += same is not None
        guessed += same is None
        open_ended += past.is_open_ended(config)
    return Estimate(
        train_s=train_s,
        timing_s=sum(block.budget_s for block in blocks),
        alike=alike,
        guessed=guessed,
        unknown=len(cells) - alike - guessed,
        open_ended=open_ended,
    )


@dataclass(slots=True)
class _Mean:
    total: float = 0.0
    count: int = 0

    def add(self, total: float, count: int) -> None:
        self.total, self.count = self.total + total, self.count + count

    @property
    def value(self) -> float:
        return self.total / self.count


class _Past:
    """What the records tell.

    `same` and `similar` are the seconds of a step, with its share of the evaluations, by what
    decides its cost and by data alone. A mean over all steps: a short run, mostly evaluation, says
    little of a long one.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self.same: dict[str, _Mean] = defaultdict(_Mean)
        self.similar: dict[str, _Mean] = defaultdict(_Mean)
        self._epoch_steps: dict[str, int] = {}
        self._length: dict[str, _Mean] = defaultdict(_Mean)
        for record in records:
            if record["kind"] == "train" and record["status"] == "ok" and record["curve"]:
                self._add(record)

    def _add(self, record: Record) -> None:
        config, steps = record["config"], record["steps"]
        self.same[_cost_key(config)].add(record["seconds"], steps)
        self.similar[_data_key(config)].add(record["seconds"], steps)
        self._length[_variant_key(config)].add(steps, 1)
        if steps != config["train"]["max_steps"]:  # else its last epoch may be cut short
            self._epoch_steps[_data_key(config)] = steps // len(record["curve"])

    def steps(self, config: Config) -> float | None:
        """How many steps a cell takes, at most; None where nothing says how long an epoch is."""
        train = config["train"]
        if train["patience"] is not None and not self.is_open_ended(config):
            return self._length[_variant_key(config)].value
        of_epoch, most = self._epoch_steps.get(_data_key(config)), train["max_steps"]
        limits = [most] if most is not None else []
        if of_epoch is not None:
            limits.append(train["epochs"] * of_epoch)
        return min(limits, default=None)

    def is_open_ended(self, config: Config) -> bool:
        """Whether patience may end a cell, and no other seed of its variant says when."""
        return config["train"]["patience"] is not None and _variant_key(config) not in self._length


def _variant_key(config: Config) -> str:
    return json.dumps(config, sort_keys=True)


def _cost_key(config: Config) -> str:
    train = {key: config["train"][key] for key in ("batch_size", "threads")}
    parts = ("dataset", "modalities", "tasks", "model", "numerics")
    return json.dumps([{part: config[part] for part in parts}, train], sort_keys=True)


def _data_key(config: Config) -> str:
    parts = ("dataset", "modalities")
    return json.dumps(
        [{part: config[part] for part in parts}, config["train"]["batch_size"]], sort_keys=True
    )
