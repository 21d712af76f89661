from __future__ import annotations

from typing import Any

import pytest

from bench.cell import TimingArm, TimingBlock, TrainCell, timed_part
from bench.estimate import estimate


def cell(config: dict[str, Any], **train: Any) -> TrainCell:
    return TrainCell({**config, "train": {**config["train"], **train}}, 0, "data", "cpu")


EPOCH_STEPS = 10


def record(
    cell: TrainCell, seconds: float, epochs: int, status: str = "ok", steps: int | None = None
) -> dict[str, Any]:
    return {
        "kind": "train",
        "status": status,
        "config": cell.config,
        "seconds": seconds,
        "steps": EPOCH_STEPS * epochs if steps is None else steps,
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
    # Two seconds an epoch, the mean of one and three.
    assert left.train_s == pytest.approx(2 * 10 + 2 * 5)
    assert (left.alike, left.guessed, left.unknown) == (1, 1, 1)


def test_the_mean_over_models_is_the_guess(config: dict[str, Any]) -> None:
    other = {**config, "model": {**config["model"], "width": 99}}
    third = {**config, "model": {**config["model"], "width": 98}}
    records = [record(cell(config), 1.0, 1), record(cell(other), 5.0, 1)]
    assert estimate([cell(third, epochs=2)], [], records).train_s == pytest.approx(6.0)


def test_max_steps_cap_the_epochs(config: dict[str, Any]) -> None:
    records = [record(cell(config), 5.0, 1)]
    left = estimate([cell(config, epochs=1000, max_steps=4)], [], records)
    assert left.train_s == pytest.approx(4 * 0.5)
    few = estimate([cell(config, epochs=2, max_steps=4000)], [], records)
    assert few.train_s == pytest.approx(2 * EPOCH_STEPS * 0.5)


def test_a_run_cut_short_does_not_say_how_long_an_epoch_is(config: dict[str, Any]) -> None:
    records = [record(cell(config, max_steps=4), 2.0, 1, steps=4)]
    todo = [cell(config, epochs=9), cell(config, epochs=9, max_steps=6)]
    left = estimate(todo, [], records)
    assert left.train_s == pytest.approx(6 * 0.5)
    assert (left.alike, left.unknown) == (1, 1)
    longer = [*records, record(cell(config, epochs=3), 12.0, 3)]
    # Half a second a step in the short run, 0.4 in the long one: 14 seconds in 34 steps.
    both = estimate(todo, [], longer)
    assert both.train_s == pytest.approx((9 * EPOCH_STEPS + 6) * 14 / 34)
    assert (both.alike, both.unknown) == (2, 0)


def test_where_patience_ends_it_other_seeds_say_when(config: dict[str, Any]) -> None:
    todo = [cell(config, epochs=100, patience=3)]
    other = estimate(todo, [], [record(cell(config), 2.0, 2)])
    assert other.train_s == pytest.approx(100.0)
    assert other.open_ended == 1
    seeds = [record(todo[0], float(n), n) for n in (5, 7)]
    known = estimate(todo, [], seeds)
    assert known.train_s == pytest.approx(6.0)
    assert known.open_ended == 0


def test_what_failed_tells_nothing(config: dict[str, Any]) -> None:
    records = [record(cell(config), 1.0, 1, "diverged"), {"kind": "time", "status": "ok"}]
    left = estimate([cell(config)], [], records)
    assert (left.train_s, left.unknown) == (0, 1)


def test_timing_takes_at_most_its_budget(config: dict[str, Any]) -> None:
    arm = TimingArm(timed_part(config))
    blocks = [TimingBlock((arm,), ("d",), 16, mode, 30.0, "cpu") for mode in ("train", "inference")]
    assert estimate([], blocks, []).timing_s == 60.0
