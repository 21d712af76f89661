from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import bench
from bench.exporting.frame import as_csv, as_parquet, joined
from bench.report.write import write_report
from tests.bench.exporting.conftest import record


def _parquet(frame: pd.DataFrame) -> pd.DataFrame:
    pytest.importorskip("pyarrow")
    return pd.read_parquet(io.BytesIO(as_parquet(frame)))


def test_csv_is_the_frame_as_a_report_writes_it(own: Path) -> None:
    content = as_csv(joined([own]))
    write_report(own, ["csv"])
    assert content == (own / "frame.csv").read_bytes()
    read = pd.read_csv(io.BytesIO(content))
    frame = bench.load(own)
    assert read.columns.tolist() == frame.columns.tolist()
    assert read["variant"].tolist() == frame["variant"].tolist()
    assert read["test.score"].dropna().tolist() == frame["test.score"].dropna().tolist()


def test_parquet_gives_back_columns_and_values(finished: Path) -> None:
    frame = bench.load(finished)
    read = _parquet(frame)
    assert read.columns.tolist() == frame.columns.tolist()
    for name in frame.columns:
        there = frame[name].notna()
        assert read[name].notna().tolist() == there.tolist(), name
        expected = frame[name][there].tolist()
        if len({type(value) for value in expected}) > 1:
            expected = [str(value) for value in expected]
        assert read[name][there].tolist() == expected, name


def test_parquet_has_text_where_a_column_is_mixed(own: Path) -> None:
    read: Any = _parquet(bench.load(own)).set_index(["variant", "seed"])
    plain, odd = read.loc["plain", 0], read.loc["é=1, w/o 'x'\n", 0]
    assert (plain["config.width"], odd["config.width"]) == ("8", "wide")
    assert (plain["config.lr"], odd["config.lr"]) == (0.1, 1.0)
    assert (plain["config.on"], odd["config.on"]) == (True, False)
    assert plain["config.nesterov"] is True
    assert pd.isna(odd["config.nesterov"])
    assert pd.isna(plain["config.clip"])
    assert odd["config..."] == "=1+1"
    assert "not finite" in read.loc["plain", 1]["reason"]


def test_several_suites_lie_one_below_the_other(own: Path) -> None:
    bench.record(
        "other",
        variant="b",
        seed=4,
        metrics={"tone": {"accuracy": 0.5}},
        config={"lr": "auto", "depth": 3},
        results=own.parent,
    )
    frame = joined([own, own.parent / "other"])
    assert frame["suite"].tolist() == ["own"] * 4 + ["other"]
    assert frame["config.lr"].tolist()[-1] == "auto"
    read: Any = _parquet(frame)
    assert read["config.lr"].iloc[-1] == "auto"
    assert read["config.lr"].iloc[0] == "0.1"
    assert read["config.depth"].dropna().tolist() == [3]
    assert set(read.columns) == {*bench.load(own), *bench.load(own.parent / "other")}


def test_a_suite_alone_is_its_frame(own: Path) -> None:
    record(own.parent, seed=5)
    pd.testing.assert_frame_equal(joined([own]), bench.load(own))
