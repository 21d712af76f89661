"""What the harness says of two groups of real cells between which there is no difference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.console import Console

from bench.api import plan
from bench.compare import compare
from bench.execution.run import Options
from bench.progress import Progress
from bench.report.analysis import Metric
from bench.report.frame import load_results
from bench.report.notes import notes
from bench.report.table import accuracy_table
from bench.report.verdict import verdict
from bench.running import run_plan
from bench.store import Store

SEEDS = 12


def test_seeds_of_one_variant_against_others_of_it(suite: dict[str, Any], tmp_path: Path) -> None:
    suite |= {"sweep": [], "seeds": 2 * SEEDS}
    how = Options(devices=(torch.device("cpu"),), workers=0)
    run_plan(plan(suite), Store(tmp_path), how, Progress(Console(), quiet=True))
    results = load_results(tmp_path / "small")
    comparison = compare(
        _halves(results.frame),
        baseline="first",
        single_task={},
        metrics={
            name: Metric(metric["higher_is_better"], metric["ideal"])
            for name, metric in results.manifest["metrics"].items()
        },
    )
    table = comparison.table.set_index("variant")
    assert table.loc["second", "verdict"] == "not distinguishable"
    assert table.loc["second", "n_pairs"] == SEEDS
    assert table.loc["second", "difference"] != 0
    assert 0.001 < comparison.smallest_detectable < 0.2
    assert "not distinguishable" in accuracy_table(comparison)
    told = f"{100 * comparison.smallest_detectable:.1f} points"
    assert any(told in note for note in notes(comparison))
    assert "not distinguishable" in verdict(comparison)[0] or "No variant" in verdict(comparison)[0]


def _halves(frame: pd.DataFrame) -> pd.DataFrame:
    """The later seeds as a variant of their own, paired with the earlier ones in order."""
    second = frame["seed"] >= SEEDS
    halves = frame.assign(variant=second.map({False: "first", True: "second"}))
    return halves.assign(seed=frame["seed"] % SEEDS)
