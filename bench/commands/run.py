"""`run`: bring every unit of suites into the store, then report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.commands.report import print_report
from bench.commands.request import Request, check_results
from bench.errors import FAILED, OK
from bench.progress import Progress
from bench.running import Outcome, run_plan
from bench.store import Store


def run(suites: Sequence[Path], request: Request, *, quiet: bool) -> int:
    """Run suites one after another; every one is validated before the first starts."""
    plans = [request.plan(suite) for suite in suites]
    check_results(request.results)
    store, progress = Store(request.results), Progress(Console(stderr=True), quiet=quiet)
    outcomes = []
    for plan in plans:
        outcomes.append(run_plan(plan, store, request.device, progress))
        print_report(store.suite_folder(plan.suite.name))
        _print_outcome(outcomes[-1], store)
    return FAILED if any(outcome.failed for outcome in outcomes) else OK


def _print_outcome(outcome: Outcome, store: Store) -> None:
    print(f"{outcome.ran} units run, {outcome.reused} reused from {store.root / 'cells'}.")
    for label, reason in outcome.failed:
        print(f"failed: {label}: {reason}", file=sys.stderr)
