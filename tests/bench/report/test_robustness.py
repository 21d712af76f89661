from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from bench.api import load, plan
from bench.report.robustness import robustness, robustness_columns
from bench.report.write import write_report


def _frame() -> pd.DataFrame:
    rows = []
    for variant, shift in (("concat", 0.0), ("sum", 0.1)):
        for seed in range(3):
            rows.append(
                {
                    "variant": variant,
                    "kind": "train",
                    "status": "ok",
                    "seed": seed,
                    "test.score": 0.5 + shift + 0.01 * seed,
                    "robust.only.image.score": 0.3 + shift,
                    "robust.only.image.script.accuracy": 9.0,
                    "robust.missing.0.5.score": 0.4 if variant == "sum" else math.nan,
                    "robust.missing.0.5.script.accuracy": 9.0,
                    "robust.noise.image.2.score": 0.2,
                    "shapley.image": 0.25,
                }
            )
    return pd.DataFrame(rows)


def test_scores_under_each_condition_with_intervals() -> None:
    table = robustness(_frame(), ["concat", "sum", "not run"])
    assert list(table["variant"]) == ["concat", "sum"]
    assert [name for name in table.columns if not name.endswith(("_lo", "_hi"))] == [
        "variant",
        "score",
        "only.image",
        "shapley.image",
        "missing.0.5",
        "noise.image.2",
    ]
    assert table["score"].tolist() == pytest.approx([0.51, 0.61])
    assert table["score_hi"][0] - table["score"][0] == pytest.approx(
        4.303 * 0.01 / 3**0.5, rel=1e-3
    )
    assert math.isnan(table["missing.0.5"][0])


def test_headings_say_what_and_in_which_unit() -> None:
    columns = robustness_columns(robustness(_frame(), ["concat", "sum"]))
    assert [column.heading for column in columns] == [
        "variant",
        "score\n%",
        "only image\n%",
        "Shapley image\npoints",
        "missing 0.5\n%",
        "noise image\n2 sd: %",
    ]
    assert columns[2].cells == ("30.0 ±0.0", "40.0 ±0.0")
    assert columns[4].cells == ("–", "40.0 ±0.0")


def test_without_anything_asked_there_is_no_table() -> None:
    plain = _frame().loc[:, lambda f: ~f.columns.str.startswith(("robust.", "shapley."))]
    table = robustness(plain, ["concat"])
    assert len(table) == 0
    assert robustness_columns(table) == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite that asks for everything, run to the end."""
    from rich.console import Console

    from bench.execution.run import Options
    from bench.progress import Progress
    from bench.running import run_plan
    from bench.store import Store

    suite: dict[str, Any] = {
        "name": "less",
        "dataset": {"name": "interactions", "kind": "redundant", "train": 200, "val": 100},
        "model": {"width": 4},
        "train": {"epochs": 1},
        "robustness": {"subsets": "all", "missing": [0.5], "noise": [1.0]},
        "seeds": 2,
        "timing": "off",
    }
    root = tmp_path_factory.mktemp("results")
    how = Options(devices=(torch.device("cpu"),), workers=0)
    run_plan(plan(suite), Store(root), how, Progress(Console(), quiet=True))
    write_report(root / "less")
    return root / "less"


def test_every_form_of_the_report_has_the_table(folder: Path) -> None:
    assert (
        "| only first % | only second % | Shapley first points |"
        in (folder / "report.md").read_text()
    )
    assert "Shapley: a modality's part in the score" in (folder / "report.md").read_text()
    assert "only.first" in (folder / "tables" / "robustness.csv").read_text()
    assert "Shapley" in (folder / "tables" / "robustness.tex").read_text()
    assert 'id="table-robustness"' in (folder / "report.html").read_text()


def test_the_frame_has_the_columns(folder: Path) -> None:
    frame = load(folder)
    for name in (
        "robust.only.first.score",
        "robust.only.first.redundant.accuracy",
        "robust.missing.0.5.score",
        "robust.noise.second.1.score",
        "shapley.first",
    ):
        assert frame[name].notna().all(), name
    total = frame["shapley.first"] + frame["shapley.second"]
    assert total.tolist() == pytest.approx(frame["test.score"].tolist())
