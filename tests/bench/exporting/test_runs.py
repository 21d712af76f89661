from __future__ import annotations

from pathlib import Path
from typing import Any

import bench
from bench.exporting.runs import runs_of
from tests.bench.exporting.conftest import amend, record


def test_every_train_record_is_a_run(own: Path) -> None:
    runs, without = runs_of(own)
    assert [(run.variant, run.seed, run.status) for run in runs] == [
        ("plain", 0, "ok"),
        ("plain", 1, "diverged"),
        ("é=1, w/o 'x'\n", 0, "ok"),
    ]
    assert without == 1
    assert [run.fine for run in runs] == [True, False, True]
    plain, failed, odd = runs
    assert plain.name == "plain, seed 0"
    assert plain.config == {
        "variant": "plain",
        "seed": 0,
        "lr": 0.1,
        "width": 8,
        "clip": None,
        "nesterov": True,
        "on": True,
    }
    assert plain.measures["test.digit.accuracy"] == 0.5
    assert plain.measures["train.seconds"] == 2.5
    assert failed.reason.startswith("a loss was not finite")
    assert failed.measures == {}
    assert {"test.a b.accuracy", "test.a/b.accuracy"} <= set(odd.measures)


def test_the_curve_has_what_is_a_number(own: Path) -> None:
    (first, *_), _ = runs_of(own)
    assert [point.epoch for point in first.curve] == [1, 2]
    assert first.curve[1].measures == {
        "epoch.loss.digit": 0.5,
        "epoch.val.digit.accuracy": 0.6,
        "epoch.val.score": 0.5,
        "epoch.weight.digit": 1.0,
        "epoch.gradient_norm.digit": 2.0,
    }


def test_the_id_is_that_of_the_record_and_the_content_that_of_what_is_in_it(own: Path) -> None:
    before, _ = runs_of(own)
    assert len({run.id for run in before}) == 3
    again, _ = runs_of(own)
    assert [run.id for run in again] == [run.id for run in before]
    assert [run.content for run in again] == [run.content for run in before]
    record(own.parent, seed=1)
    after, _ = runs_of(own)
    assert [run.id for run in after] == [run.id for run in before]
    changed = [run.content != old.content for run, old in zip(after, before, strict=True)]
    assert changed == [False, True, False]


def test_a_run_has_the_timings_of_its_variant(finished: Path) -> None:
    runs, without = runs_of(finished)
    assert (len(runs), without) == (4, 0)
    frame: Any = bench.load(finished)
    timed = frame[(frame["kind"] == "time") & (frame["time.mode"] == "train")].set_index("variant")
    for run in runs:
        assert run.measures["time.train.16.step_ms"] == timed.loc[run.variant, "time.step_ms"]
        assert len(run.curve) == 2


def test_a_record_without_a_time_of_its_own_is_a_run_too(own: Path) -> None:
    (first, *_), _ = runs_of(own)
    amend(own.parent, first.record, started=None)
    (first, *_), _ = runs_of(own)
    assert first.started == ""
