"""Plan, run and load suites from Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from bench.environment import pick_device
from bench.planning import Plan, make_plan
from bench.progress import Progress
from bench.report.frame import load_frame
from bench.report.write import write_report
from bench.running import run_plan
from bench.store import Store
from bench.suite import Suite, load_suite


def plan(suite: str | Path | Mapping[str, Any] | Suite) -> Plan:
    """The variants and units of a suite, given as a file, a mapping or a `Suite`.

    Raises `bench.InputError` with everything that is wrong with it.
    """
    return make_plan(suite if isinstance(suite, Suite) else load_suite(suite))


def run(
    suite: str | Path | Mapping[str, Any] | Suite,
    *,
    results: str | Path = "results",
    device: str = "auto",
) -> pd.DataFrame:
    """Run what is missing of a suite, write its report and return its frame."""
    planned = plan(suite)
    store = Store(results)
    run_plan(planned, store, pick_device(device), Progress(Console(stderr=True)))
    write_report(store.suite_folder(planned.suite.name))
    return load(store.suite_folder(planned.suite.name))


def load(folder: str | Path) -> pd.DataFrame:
    """The frame of a suite's results, such as `results/default`: one row per record."""
    return load_frame(folder)
