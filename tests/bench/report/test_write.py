from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.api import run
from bench.report.frame import load_frame
from bench.report.write import directed_metrics, load_comparison, write_report


def test_the_report_holds_both_tables_and_what_made_them(finished: Path) -> None:
    page = (finished / "report.md").read_text(encoding="utf-8")
    assert page.startswith("# small\n\nDoes it run?\n")
    assert "| hard | 2 |" in page
    assert "not distinguishable" in page or "better" in page or "worse" in page
    assert "Holm family: 1 test" in page
    assert "Made by `mtmm-bench" in page


def test_the_csv_files_are_the_comparison_and_the_frame(finished: Path) -> None:
    table = pd.read_csv(finished / "comparison.csv")
    pd.testing.assert_frame_equal(table, load_comparison(finished).table, check_dtype=False)
    frame = pd.read_csv(finished / "frame.csv")
    assert list(frame.columns) == list(load_frame(finished).columns)
    assert len(frame) == len(load_frame(finished))


def test_the_comparison_by_hand(finished: Path) -> None:
    frame = load_frame(finished)
    scores = frame.pivot_table(index="seed", columns="variant", values="test.score")
    row = load_comparison(finished).table.set_index("variant").loc["separate"]
    difference = scores["separate"] - scores["hard"]
    assert row["difference"] == pytest.approx(difference.mean())
    times = frame[frame["time.mode"] == "train"].set_index("variant")["time.step_ms"]
    assert row["step_ratio"] == pytest.approx(times["separate"] / times["hard"])


def test_a_report_written_again_is_the_same(finished: Path) -> None:
    before = {path: path.read_bytes() for path in write_report(finished)}
    assert {path: path.read_bytes() for path in write_report(finished)} == before


def test_a_kinds_primary_metric_comes_first() -> None:
    assert next(iter(directed_metrics())) == "accuracy"


def test_one_seed_has_no_interval_and_no_verdict(suite: dict[str, Any], tmp_path: Path) -> None:
    run({**suite, "seeds": 1}, results=tmp_path, device="cpu")
    page = (tmp_path / "small" / "report.md").read_text(encoding="utf-8")
    (row,) = (line for line in page.splitlines() if line.startswith("| separate | 1 | "))
    assert "±" not in row
    assert row.endswith("| – |")
