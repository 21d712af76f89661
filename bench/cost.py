"""What variants cost: the newest timing of each mode at one batch size, out of a frame."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from bench.rounds import UNKNOWN, WITHIN_BLOCK, Medians, Ratio, judge, paired_ratio

TRAIN_TIMES = ("forward", "backward", "optimizer", "step")

Timing = Mapping[str, Any]
"""A timing record's row of the frame."""

Arm = tuple[str, Any]
"""A variant in a block."""


class Costs:
    """The finished timing records of a suite's frame at its first batch size."""

    def __init__(self, frame: pd.DataFrame, rounds: pd.DataFrame | None = None) -> None:
        """`rounds` as those of `bench.report.frame.Results`: what ratios have intervals by."""
        self.batch_size = _first_batch_size(frame)
        rows = [] if self.batch_size is None else _timings(frame, self.batch_size)
        self._newest = {(row["variant"], row["time.mode"]): row for row in rows}
        self._in_block = {(row["variant"], row["time.block"]): row for row in rows}
        self._rounds: Mapping[Arm, Medians] = {} if rounds is None else _by_arm(rounds)

    def row(self, variant: str, baseline: str) -> dict[str, float | str]:
        """The timing columns of a variant's row, NaN where it was not timed."""
        train = self._newest.get((variant, "train"), {})
        inference = self._newest.get((variant, "inference"), {})
        pipeline = self._newest.get((variant, "pipeline"), {})
        row: dict[str, float | str] = {}
        for phase in TRAIN_TIMES:
            for name in (f"{phase}_ms", f"{phase}_lo_ms", f"{phase}_hi_ms"):
                row[name] = _number(train, f"time.{name}")
        row |= self._ratio(variant, baseline, train)
        row["time_n"] = _number(train, "time.n")
        row["flagged_share"] = _number(train, "time.flagged_share")
        row["launch_bound"] = _number(train, "time.launch_bound")
        for name in ("inference_ms", "inference_lo_ms", "inference_hi_ms"):
            row[name] = _number(inference, f"time.{name}")
        row |= {name: _number(train, name) for name in ("samples_per_s", "peak_mib")}
        row["pipeline_samples_per_s"] = _number(pipeline, "samples_per_s")
        return row | {name: _number(train, name) for name in ("params", "flops")}

    def _ratio(self, variant: str, baseline: str, train: Timing) -> dict[str, float | str]:
        """The step to that of the baseline in the same block, what it says, and its interval."""
        ratio, says = self._to_baseline(variant, baseline, train), ""
        if not math.isnan(ratio.estimate):
            says = "baseline" if variant == baseline else judge(ratio, WITHIN_BLOCK)
        return {
            "step_ratio": ratio.estimate,
            "step_ratio_lo": ratio.lo,
            "step_ratio_hi": ratio.hi,
            "step_verdict": says,
        }

    def _to_baseline(self, variant: str, baseline: str, train: Timing) -> Ratio:
        block = train.get("time.block")
        step_ms = _number(self._in_block.get((baseline, block), {}), "time.step_ms")
        if not step_ms > 0:
            return UNKNOWN
        if variant == baseline:
            return Ratio(1.0)
        own, other = (self._rounds.get((name, block), {}) for name in (variant, baseline))
        paired = paired_ratio(own, other)
        known = not math.isnan(paired.estimate)
        return paired if known else Ratio(_number(train, "time.step_ms") / step_ms)


def _by_arm(rounds: pd.DataFrame) -> Mapping[Arm, Medians]:
    """The rounds' medians of each variant in each block."""
    arms: dict[Arm, dict[int, float]] = {}
    columns = (rounds[name] for name in ("variant", "block", "round", "step_ms"))
    for variant, block, number, step_ms in zip(*columns, strict=True):
        arms.setdefault((variant, block), {})[number] = step_ms
    return arms


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
