"""Records of one's own are read as those of a suite are, as far as both know the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import bench
from bench.cli import main
from bench.report.frame import load_frame, load_manifest
from bench.report.write import load_comparison, write_report

UNTOLD = r"train\.(?:epoch|weight)\.|train\.(?:steps|samples)$|val\..*score$|\.loss$"
"""Columns of what nobody tells `bench.record`, or cannot."""


@pytest.fixture(scope="module")
def own(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the runs of the small suite came to, told to `bench.record`."""
    results = tmp_path_factory.mktemp("own")
    manifest = load_manifest(finished)
    configs = {one["name"]: one["config"] for one in manifest["variants"]}
    for row in trained(finished).to_dict("records"):
        bench.record(
            "small",
            variant=row["variant"],
            seed=int(row["seed"]),
            metrics=metrics_of(row, "test"),
            val=metrics_of(row, "val"),
            trivial={task: trivial_of(row, task) for task in ("script", "slant")},
            config=configs[row["variant"]],
            baseline="hard",
            single_task=manifest["single_task"],
            question="Does it run?",
            params=int(row["params"]),
            seconds=row["train.seconds"],
            results=results,
        )
    return results / "small"


def trained(folder: Path) -> pd.DataFrame:
    frame = load_frame(folder)
    return frame[frame["kind"] == "train"].dropna(axis=1, how="all").reset_index(drop=True)


def metrics_of(row: dict[Any, Any], split: str) -> dict[str, dict[str, float]]:
    names = ("accuracy", "balanced_accuracy")
    return {t: {n: row[f"{split}.{t}.{n}"] for n in names} for t in ("script", "slant")}


def trivial_of(row: dict[Any, Any], task: str) -> float:
    """Found from the score (m − trivial) / (1 − trivial) of an accuracy m."""
    score = row[f"test.{task}.score"]
    return float((row[f"test.{task}.accuracy"] - score) / (1 - score))


def test_the_rows_are_the_same(finished: Path, own: Path) -> None:
    ours, theirs = (
        frame.loc[:, ~frame.columns.str.contains(UNTOLD)]
        for frame in (trained(finished), trained(own))
    )
    pd.testing.assert_frame_equal(ours, theirs, check_like=True, check_dtype=False)


def test_the_comparison_is_the_same(finished: Path, own: Path) -> None:
    ours, theirs = (load_comparison(folder).table for folder in (finished, own))
    told = theirs.replace("", None).dropna(axis=1, how="all")  # the rest comes from timings
    assert {"verdict", "p_holm", "score_lo", "difference", "n", "params"} <= set(told)
    assert {"gain.script", "delta_m_per_task", "script.accuracy"} <= set(told)
    pd.testing.assert_frame_equal(ours[told.columns], theirs[told.columns], check_dtype=False)


def test_the_page_has_the_same_sections(finished: Path, own: Path) -> None:
    headings = []
    for folder in (finished, own):
        write_report(folder)
        page = (folder / "report.html").read_text(encoding="utf-8")
        assert "Does it run?" in page
        headings.append(set(re.findall(r"<h2[^>]*>(.*?)</h2>", page)))
    ours, theirs = headings
    assert theirs == ours


def test_a_run_and_what_was_told_of_it_compare_as_equal(
    finished: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(finished), str(own)]) == 0
    told = capsys.readouterr().out
    rows = re.findall(r"^(?:hard|separate) .*$", told, flags=re.MULTILINE)
    assert len(rows) == 2
    assert all("+0.0 [+0.0, +0.0]" in row for row in rows)
    assert "warning" not in told
