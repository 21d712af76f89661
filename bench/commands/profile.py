"""`profile`: what a step of training spends its time on."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from bench.commands.report import write_files
from bench.commands.request import Request, check_results
from bench.environment import command
from bench.errors import FAILED, OK, InputError
from bench.execution.run import Options
from bench.lines import one_line
from bench.profiling.summary import summarise
from bench.profiling.text import summary_text
from bench.profiling.trace import read_trace
from bench.progress import Progress
from bench.report.analysis import analyse
from bench.report.parts import part_notes, profile_columns
from bench.report.table import aligned
from bench.running import profile_plan
from bench.store import Store


def profile(options: argparse.Namespace) -> int:
    """Profile a suite, or read a trace, as a command line asks."""
    if (options.trace is None) == (options.suite is None):
        raise InputError("profile needs a suite or --trace FILE, one of them")
    if options.trace is not None:
        if options.memory_snapshot:
            raise InputError("--memory-snapshot goes with a suite, whose steps it records")
        return profile_trace(options.trace, options.json)
    request = Request.of(options)
    how = Options(devices=request.devices, retry_failed=options.retry_failed)
    return profile_suite(
        options.suite, request, how, quiet=options.quiet, snapshots=options.memory_snapshot
    )


def profile_suite(
    suite: Path, request: Request, options: Options, *, quiet: bool, snapshots: bool = False
) -> int:
    """Profile the variants of a suite that were not yet, print what parts cost, and report.

    With `snapshots` also record memory snapshots; InputError where the device is not CUDA.
    """
    if snapshots and options.device.type != "cuda":
        raise InputError(
            "--memory-snapshot records what CUDA's allocator does, and this run is on "
            f"{options.device}: leave it out, or run on a GPU (--device cuda)"
        )
    plan = request.plan(suite)
    check_results(request.results, [plan.suite.name])
    store, progress = Store(request.results), Progress(Console(stderr=True), quiet=quiet)
    failed = profile_plan(plan, store, options, progress, command(), snapshots=snapshots)
    analysis = analyse(store.suite_folder(plan.suite.name))
    profiles = analysis.results.profiles
    for columns in profile_columns(analysis.parts, profiles):
        print(aligned(columns))
    print("\n".join(f"- {note}" for note in part_notes(profiles)))
    for name, reason in failed.items():
        print(f"failed: {one_line(name)}: {one_line(reason)}", file=sys.stderr)
    write_files(analysis)
    return FAILED if failed else OK


def profile_trace(path: Path, as_json: bool) -> int:
    """Print what a trace file of the PyTorch profiler tells, of whatever program it is."""
    told = summarise(read_trace(path))
    print(json.dumps(told, indent=1, ensure_ascii=False) if as_json else summary_text(told))
    return OK
