"""`run`: bring every unit of suites into the store, then report."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from bench.commands.report import print_tables, write_files
from bench.commands.request import Request, check_results
from bench.environment import command
from bench.errors import FAILED, OK, InputError
from bench.execution.run import Options
from bench.lines import one_line
from bench.progress import Progress
from bench.report.analysis import analyse
from bench.running import Outcome, run_plan
from bench.store import Store

_ENDING = (signal.SIGINT, signal.SIGTERM)


def run(suites: Sequence[Path], request: Request, options: Options, *, quiet: bool) -> int:
    """Run suites one after another; every one is validated before the first starts."""
    plans = [request.plan(suite) for suite in suites]
    _check_names(suites, [plan.suite.name for plan in plans])
    check_results(request.results, [plan.suite.name for plan in plans])
    store, progress = Store(request.results), Progress(Console(stderr=True), quiet=quiet)
    failed = False
    with ended_in_order():
        for plan in plans:
            outcome = run_plan(plan, store, options, progress, command())
            fine = _tell(outcome, store, store.suite_folder(plan.suite.name))
            failed = failed or not fine or bool(outcome.failed or outcome.stopped)
            if outcome.stopped:
                break
    return FAILED if failed else OK


def _check_names(suites: Sequence[Path], names: Sequence[str]) -> None:
    for i, name in enumerate(names):
        if name in names[:i]:
            first = suites[names.index(name)]
            text = f"'{name}' is the name of {first} too: results of one would replace the other's"
            raise InputError(f"{suites[i]}: name: {text}")


def _tell(outcome: Outcome, store: Store, folder: Path) -> bool:
    """Print tables and outcome, then write the report; whether that went well."""
    try:
        try:
            analysis = analyse(folder)
            print_tables(analysis)
        finally:
            _print_outcome(outcome, store)
        write_files(analysis)
    except InputError as error:
        print(one_line(error), file=sys.stderr)
        return False
    return True


def _print_outcome(outcome: Outcome, store: Store) -> None:
    units = f"{outcome.ran} units run, {outcome.reused} reused from {store.root / 'cells'}"
    print(units + (f", {outcome.not_run} not run." if outcome.not_run else "."))
    for text in outcome.moved:
        print(f"set aside: {one_line(text)}", file=sys.stderr)
    for label, reason in outcome.failed:
        print(f"failed: {one_line(label)}: {one_line(reason)}", file=sys.stderr)
    if outcome.failed:
        print("Failed units stay as they are; --retry-failed tries them again.", file=sys.stderr)
    if outcome.stopped:
        print(one_line(outcome.stopped), file=sys.stderr)


@contextmanager
def ended_in_order() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does, and both do where a shell had SIGINT ignored."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
