"""Plan, run and load suites from Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from bench import smoke as smoking
from bench import variant
from bench.cell import components_of
from bench.document import plain
from bench.environment import pick_devices
from bench.execution import unit
from bench.execution.run import Options
from bench.planning import Plan, make_plan
from bench.plugins import check_as_loaded, own_of
from bench.progress import Progress
from bench.report.frame import load_frame
from bench.report.write import write_report
from bench.running import run_plan
from bench.store import Store
from bench.suite import Given, Suite, load_suite

AnySuite = str | Path | Mapping[str, Any] | Suite


def plan(
    suite: AnySuite, *, settings: Mapping[str, Any] | None = None, smoke: bool = False
) -> Plan:
    """The variants and units of a suite, given as a file, a mapping or a `Suite`.

    `settings` overrule its base by dotted path, as in `{"train.epochs": 3, "seeds": 2}`; with
    `smoke` every variant takes a few steps on little data. Raises `bench.InputError` with
    everything that is wrong with it, or where a file of your own components has been edited since
    it was imported; ValueError for `settings` beside a `Suite`.
    """
    variant.forget_data()
    if isinstance(suite, Suite):
        if settings:
            raise ValueError("`settings` go with a file or a mapping; found a Suite, already read")
        loaded = suite
    else:
        loaded = load_suite(suite, _given(settings or {}))
    planned = make_plan(smoking.smoke(loaded) if smoke else loaded)
    configs = [one.config for one in (*planned.variants, *planned.twins)]
    check_as_loaded(own_of(used for config in configs for used in components_of(config)))
    return planned


def run(
    suite: AnySuite,
    *,
    results: str | Path = "results",
    device: str = "auto",
    workers: int | None = None,
    settings: Mapping[str, Any] | None = None,
    smoke: bool = False,
    retry_failed: bool = False,
) -> pd.DataFrame:
    """Run what is missing of a suite, write its report and return its frame.

    `device` may be a list of GPUs, `cuda:0,cuda:1`. `workers` is the number of cells that train at
    a time: by default as many as the cores hold, one a GPU; 0 trains in this process, one after
    another. `settings` and `smoke` as in `plan`. What has failed before is tried again with
    `retry_failed` only. Raises `bench.InputError` also where the base of the suite needs a device
    of another type.
    """
    planned = plan(suite, settings=settings, smoke=smoke)
    unit.forget_data()
    store = Store(results)
    options = Options(devices=pick_devices(device), workers=workers, retry_failed=retry_failed)
    planned.check_device(options.device)
    run_plan(planned, store, options, Progress(Console(stderr=True)))
    write_report(store.suite_folder(planned.suite.name))
    return load(store.suite_folder(planned.suite.name))


def load(folder: str | Path) -> pd.DataFrame:
    """The frame of a suite's results, such as `results/default`: one row per record."""
    return load_frame(folder)


def _given(settings: Mapping[str, Any]) -> list[Given]:
    return [Given(f"settings['{key}']", key, plain(item)) for key, item in settings.items()]
