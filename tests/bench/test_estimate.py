from __future__ import annotations

from typing import Any

import pytest

from bench.cell import TimingArm, TimingBlock, TrainCell, timed_part
from bench.estimate import estimate


def cell(config: dict[str, Any], **train: Any) -> TrainCell:
    return TrainCell({**config, "train": {**config["train"], **train}}, 0, "data", "cpu")


def record(cell: TrainCell, seconds: float, epochs: int, status: str = "ok") -> dict[str, Any]:
    return {
        "kind": "train",
        "status": status,
        "config": cell.config,
        "seconds": seconds,
        "curve": [{}] * epochs,
    }


def test_cells_are_judged_by_like_ones_else_by_the_same_data_else_not(
    config: dict[str, Any],
) -> None:
    separate = {**config, "model": {**config["model"], "sharing": {"name": "separate"}}}
    other_data = {**config, "dataset": {**config["dataset"], "limit": 77}}
    records = [record(cell(config), 2.0, 2), record(cell(config), 6.0, 2)]
    todo = [cell(config, epochs=10), cell(separate, epochs=5), cell(other_data)]
    left = estimate(todo, [], records)
    # Two seconds an epoch, the median of one and three.
    assert left.train_s == pytest.approx(2 * 10 + 2 * 5)
    assert (left.alike, left.guessed, left.unknown) == (1, 1, 1)


def test_the_median_over_models_is_the_guess(config: dict[str, Any]) -> None:
    other = {**config, "model": {**config["model"], "width": 99}}
    third = {**config, "model": {**config["model"], "width": 98}}
    records = [record(cell(config), 1.0, 1), record(cell(other), 5.0, 1)]
    assert estimate([cell(third, epochs=2)], [], records).train_s == pytest.approx(6.0)


def test_what_failed_tells_nothing(config: dict[str, Any]) -> None:
    records = [record(cell(config), 1.0, 1, "diverged"), {"kind": "time", "status": "ok"}]
    left = estimate([cell(config)], [], records)
    assert (left.train_s, left.unknown) == (0, 1)


def test_timing_takes_at_most_its_budget(config: dict[str, Any]) -> None:
    arm = TimingArm(timed_part(config))
    blocks = [TimingBlock((arm,), ("d",), 16, mode, 30.0, "cpu") for mode in ("train", "inference")]
    assert estimate([], blocks, []).timing_s == 60.0
