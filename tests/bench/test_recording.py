from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bench
from bench import InputError
from bench.cli import main
from bench.report.write import load_comparison, write_report
from mtmm.heads.base import Metric

SCORES = {"plain": (0.61, 0.58, 0.64), "mine": (0.70, 0.69, 0.72), "alone": (0.66, 0.61, 0.69)}


def _record(results: Path, variant: str = "plain", seed: Any = 0, **more: Any) -> str:
    given: dict[str, Any] = {"metrics": {"script": {"accuracy": 0.5}}, **more}
    return bench.record("own", variant=variant, seed=seed, results=results, **given)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for variant, accuracies in SCORES.items():
        for seed, accuracy in enumerate(accuracies):
            bench.record(
                "own",
                variant=variant,
                seed=seed,
                metrics={"script": {"accuracy": accuracy}, "height": {"rmse": 4 - 3 * accuracy}},
                val={"script": {"accuracy": accuracy - 0.01}},
                trivial={"script": 0.2, "height": 4.0},
                config={"loop": {"name": variant, "lr": 1e-3}},
                single_task={"plain": "alone", "mine": "alone"} if variant == "alone" else None,
                question="Is mine better?",
                params=1234,
                seconds=5.5,
                results=tmp_path,
            )
    return tmp_path


def test_records_come_back_as_rows_like_any_other(results: Path) -> None:
    frame: Any = bench.load(results / "own")
    assert len(frame) == 9
    row = frame.set_index(["variant", "seed"]).loc["mine", 1]
    assert row["status"] == "ok"
    assert row["test.script.accuracy"] == 0.69
    assert row["val.script.accuracy"] == pytest.approx(0.68)
    assert row["test.script.score"] == pytest.approx((0.69 - 0.2) / 0.8)
    assert row["test.height.score"] == pytest.approx(3 * 0.69 / 4)
    assert row["test.score"] == pytest.approx(((0.69 - 0.2) / 0.8 + 3 * 0.69 / 4) / 2)
    assert row["config.loop.lr"] == 1e-3
    assert row["params"] == 1234


def test_they_are_compared_like_any_other(results: Path) -> None:
    comparison = load_comparison(results / "own")
    assert comparison.baseline == "plain"
    table: Any = comparison.table.set_index("variant")
    assert table.loc["mine", "verdict"] == "better"
    assert table.loc["mine", "gain.script"] == pytest.approx(0.15 / 3)
    assert table.loc["plain", "gain.height"] == pytest.approx(-3 * 0.13 / 3)
    assert table.loc["mine", "delta_m_per_task"] > 0
    names = {path.name for path in write_report(results / "own")}
    assert {"report.md", "report.html", "comparison.csv", "tasks.png"} <= names


def test_the_command_line_reports_them(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(results / "own")]) == 0
    assert "own: Is mine better?" in capsys.readouterr().out


def test_the_same_seed_again_replaces(tmp_path: Path) -> None:
    first = _record(tmp_path)
    assert _record(tmp_path, metrics={"script": {"accuracy": 0.6}}) == first
    _record(tmp_path, seed=1)
    frame = bench.load(tmp_path / "own")
    assert frame["test.script.accuracy"].tolist() == [0.6, 0.5]
    assert frame["test.score"].tolist() == [0.6, 0.5]  # without `trivial` from 0


def test_a_metric_of_ones_own(tmp_path: Path) -> None:
    bleu = Metric(higher_is_better=True, ideal=100.0)
    _record(tmp_path, metrics={"de": {"bleu": 25.0}}, meanings={"bleu": bleu})
    assert bench.load(tmp_path / "own")["test.score"].tolist() == [0.25]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"metrics": {}}, "`metrics` must be {task: {metric: value}} with a task and a metric"),
        ({"metrics": {"t": {"bleu": 1.0}}}, "`meanings` must say what metric 'bleu' of task 't'"),
        ({"metrics": {"t": {"rmse": 1.0}}}, "`trivial` must give 'rmse' of task 't'"),
        ({"metrics": {"t": {"accuracy": float("nan")}}}, "must be a finite number; found the"),
        ({"trivial": {"scrpt": 0.1}}, r"must name tasks of `metrics` (script); found scrpt"),
        ({"trivial": {"script": 1}}, "`trivial` of task 'script' is 1, the ideal of 'accuracy'"),
        ({"seed": -1}, "`seed` must be a whole number at least 0; found the whole number -1"),
        ({"variant": ""}, "`variant` must be a name"),
    ],
)
def test_what_will_not_do_is_told_and_nothing_is_kept(
    tmp_path: Path, given: dict[str, Any], text: str
) -> None:
    with pytest.raises(InputError) as caught:
        _record(tmp_path, **given)
    assert text in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_suite_that_was_run_is_left_alone(suite: dict[str, Any], tmp_path: Path) -> None:
    bench.run(suite, results=tmp_path, device="cpu")
    with pytest.raises(InputError, match="records of your own need a `suite` of another name"):
        bench.record("small", variant="x", seed=0, metrics={"s": {"accuracy": 1}}, results=tmp_path)


BOTH = {"metrics": {"script": {"accuracy": 0.5}, "height": {"rmse": 2.5}}}
BOTH["trivial"] = {"script": 0.2, "height": 4.0}  # type: ignore[dict-item]


def test_a_baseline_can_be_named_later(results: Path) -> None:
    _record(results, variant="mine", seed=3, baseline="mine", **BOTH)
    assert load_comparison(results / "own").baseline == "mine"


def test_a_run_that_came_to_nothing_counts(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _record(results, "mine", 3, metrics=None, status="diverged", reason="a loss was nan")
    frame: Any = bench.load(results / "own")
    row = frame.set_index(["variant", "seed"]).loc["mine", 3]
    assert (row["status"], row["reason"]) == ("diverged", "a loss was nan")
    assert row[["train.steps", "train.samples", "test.score"]].isna().all()
    assert main(["report", str(results / "own")]) == 0
    assert "3/4" in capsys.readouterr().out
    page = (results / "own" / "report.html").read_text(encoding="utf-8")
    assert "a loss was nan" in page
    _record(results, "mine", 3, **BOTH)  # a second try that went well takes its place
    assert set(bench.load(results / "own")["status"]) == {"ok"}


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"status": "failed"}, "must be one of ok, diverged, oom, timeout, error; found the word"),
        ({"status": "error"}, "`metrics` must be given where `status` is ok, and not where"),
        ({"metrics": None}, "`metrics` must be given where `status` is ok, and not where"),
    ],
)
def test_results_of_failed_runs_are_refused(more: Any, text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=text):
        _record(tmp_path, **more)
    assert not (tmp_path / "own").exists()


def test_a_baseline_that_was_never_recorded_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _record(tmp_path, baseline="mine", single_task={"plain": "alone"})
    assert main(["report", str(tmp_path / "own")]) == 2
    assert "the baseline 'mine' has no record (there are: plain)" in capsys.readouterr().err
    _record(tmp_path, variant="mine")
    assert main(["report", str(tmp_path / "own")]) == 0


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"metrics": {"script": {"accuracy": 0.5}}}, "all runs of 'mine' must have the same tasks"),
        ({"variant": "new", "metrics": {"script": {"balanced_accuracy": 0.5}}}, "it has primary"),
        ({"variant": "new", "trivial": {"script": 0.4, "height": 4.0}}, "it has trivial 0.2"),
    ],
)
def test_runs_that_could_not_be_compared_are_refused(
    more: dict[str, Any], text: str, results: Path
) -> None:
    given = {"variant": "mine", "seed": 9, **BOTH, **more}
    if set(given["trivial"]) - set(given["metrics"]):
        given["trivial"] = {"script": 0.2}
    with pytest.raises(InputError, match=text):
        _record(results, **given)
    assert len(bench.load(results / "own")) == 9


def test_fewer_tasks_in_a_variant_of_its_own_are_compared_on_those(results: Path) -> None:
    for seed, accuracy in enumerate(SCORES["plain"]):
        only = {"metrics": {"script": {"accuracy": accuracy}}, "trivial": {"script": 0.2}}
        _record(results, "script alone", seed, **only)
    table: Any = load_comparison(results / "own").table.set_index("variant")
    assert table.loc["script alone", "difference"] == pytest.approx(0.0)


def test_numbers_of_numpy_and_pytorch_are_numbers(tmp_path: Path) -> None:
    _record(
        tmp_path,
        seed=np.int64(1),
        metrics={"script": {"accuracy": torch.tensor(0.5)}},
        trivial={"script": np.float32(0.25)},
        config={"lr": np.float32(0.5), "sizes": np.arange(2)},
        seconds=np.float64(3.0),
        params=np.int64(7),
    )
    (row,) = bench.load(tmp_path / "own").to_dict("records")
    assert row["test.script.accuracy"] == 0.5
    assert row["test.script.score"] == pytest.approx(1 / 3)
    assert row["config.lr"] == 0.5
    assert row["config.sizes"] == "0+1"


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"metrics": {"script": 0.5}}, "`metrics` must be {task: {metric: value}}; found"),
        ({"metrics": [0.5]}, "`metrics` must be {task: {metric: value}}; found"),
        ({"metrics": {"script": {"accuracy": True}}}, "must be a finite number; found true"),
        (
            {"metrics": {"script": {"accuracy": 61.0}}},
            r"cannot be better than 1 \(a share, not a p",
        ),
        ({"val": {"script": 3}}, "`val` must be {task: {metric: value}}"),
        ({"trivial": {"script": "q"}}, "`trivial` of task 'script' must be a finite number"),
        ({"trivial": {"script": float("nan")}}, "`trivial` of task 'script' must be a finite num"),
        ({"trivial": 0.5}, "`trivial` must be {task: number}; found"),
        ({"config": 3}, "`config` must be a mapping of settings; found"),
        ({"config": {"o": object()}}, "`config` must hold numbers, words, lists and mappings: f"),
        ({"meanings": {"foo": "up"}}, "`meanings` must be {metric: Metric"),
        ({"meanings": {"accuracy": Metric(higher_is_better=False, ideal=0.0)}}, "as it is, which"),
        ({"seconds": "long"}, "`seconds` must be a finite number"),
        ({"params": "many"}, "`params` must be a finite number"),
        ({"seed": 1.5}, "`seed` must be a whole number"),
    ],
)
def test_what_is_no_result_is_told(more: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=text):
        _record(tmp_path, **more)
    assert not (tmp_path / "own").exists()
