"""What variants cost: the newest timing of each mode at one batch size, out of a frame."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

TRAIN_TIMES = ("forward", "backward", "optimizer", "step")

Timing = Mapping[str, Any]
"""A timing record's row of the frame."""


class Costs:
    """The finished timing records of a suite's frame at its first batch size."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.batch_size = _first_batch_size(frame)
        rows = [] if self.batch_size is None else _timings(frame, self.batch_size)
        self._newest = {(row["variant"], row["time.mode"]): row for row in rows}
        self._in_block = {(row["variant"], row["time.block"]): row for row in rows}

    def row(self, variant: str, baseline: str) -> dict[str, float]:
        """The timing columns of a variant's row, NaN where it was not timed."""
        train = self._newest.get((variant, "train"), {})
        inference = self._newest.get((variant, "inference"), {})
        row: dict[str, float] = {}
        for phase in TRAIN_TIMES:
            for name in (f"{phase}_ms", f"{phase}_lo_ms", f"{phase}_hi_ms"):
                row[name] = _number(train, f"time.{name}")
        of_baseline = self._in_block.get((baseline, train.get("time.block")), {})
        row["step_ratio"] = row["step_ms"] / _number(of_baseline, "time.step_ms")
        row["time_n"] = _number(train, "time.n")
        for name in ("inference_ms", "inference_lo_ms", "inference_hi_ms"):
            row[name] = _number(inference, f"time.{name}")
        row |= {name: _number(train, name) for name in ("samples_per_s", "peak_mib")}
        return row | {name: _number(train, name) for name in ("params", "flops")}


def _first_batch_size(frame: pd.DataFrame) -> int | None:
    """The first batch size that was timed; None without timing."""
    if "time.batch_size" not in frame:
        return None
    known = frame["time.batch_size"].dropna()
    return None if known.empty else int(known.iloc[0])


def _timings(frame: pd.DataFrame, batch_size: int) -> list[Timing]:
    """Finished timing records at a batch size, oldest first."""
    timed = (frame["kind"] == "time") & (frame["status"] == "ok")
    rows = frame[timed & (frame["time.batch_size"] == batch_size)]
    return rows.to_dict("records")  # type: ignore[return-value]


def _number(row: Timing, column: str) -> float:
    value = row.get(column)
    return math.nan if value is None else float(value)
