"""The command line. PyTorch is imported only by commands that need it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import arguments
from bench.errors import BAD_INPUT, FAILED, OK, InputError
from bench.exporting import TARGETS
from bench.report import FORMATS, VERDICTS
from mtmm._version import __version__


def main(given: Sequence[str] | None = None) -> int:
    """Run a command; 0 done, 1 some units failed, 2 bad input."""
    options = parser().parse_args(given)
    try:
        code: int = options.command(options)
    except InputError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("Interrupted. What has finished is kept: the same command goes on.", file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        sys.stderr.close()  # what reads our output has seen enough, as in `... | head`
        return OK
    return code


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    whole = argparse.ArgumentParser(
        prog="mtmm-bench",
        description="Benchmarks and ablations of multi-task and multi-modal learning in PyTorch.",
    )
    whole.add_argument("--version", action="version", version=f"mtmm-bench {__version__}")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)

    run = commands.add_parser("run", help="run what is missing of suites and print the comparison")
    run.add_argument("suites", nargs="+", metavar="SUITE", type=Path, help="a suite file")
    _add_suite_options(run)
    _add_run_options(run)
    run.add_argument("-q", "--quiet", action="store_true", help="no progress")
    run.set_defaults(command=run_suites)

    timing = commands.add_parser("time", help="time what is missing of suites, and train nothing")
    timing.add_argument("suites", nargs="+", metavar="SUITE", type=Path, help="a suite file")
    _add_suite_options(timing)
    _add_retry(timing)
    timing.add_argument("-q", "--quiet", action="store_true", help="no progress")
    timing.set_defaults(command=time_suites)

    _add_search(
        commands.add_parser("search", help="search settings of every arm, and compare the tuned")
    )

    plan = commands.add_parser("plan", help="show what a suite would run, and run nothing")
    plan.add_argument("suite", metavar="SUITE", type=Path, help="a suite file")
    _add_suite_options(plan)
    plan.add_argument("--json", action="store_true", help="for programs to read")
    plan.set_defaults(command=show_plan)

    _add_report(commands.add_parser("report", help="write and print the report of finished suites"))

    _add_compare(commands.add_parser("compare", help="the results of one run against another's"))

    _add_profile(
        commands.add_parser("profile", help="what a training step spends its time on, by part")
    )

    _add_export(commands.add_parser("export", help="write results for other tools to read"))

    _add_check(
        commands.add_parser("check", help="check your own fusions, or what was understood of data")
    )

    status = commands.add_parser("status", help="what a results folder holds and what runs now")
    _add_results(status)
    status.set_defaults(command=show_status)

    listing = commands.add_parser("list", help="list components and their settings")
    listing.add_argument("kind", nargs="?", help="only this kind, such as fusion")
    _add_plugins(listing)
    listing.set_defaults(command=list_components)

    schema = commands.add_parser("schema", help="print the JSON Schema of suites, for editors")
    _add_plugins(schema)
    schema.set_defaults(command=print_schema)
    return whole


def _add_run_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--workers",
        type=arguments.count,
        metavar="N",
        help="cells at a time (default: as many as the cores hold, one a GPU); 0: in this process",
    )
    command.add_argument(
        "--timeout",
        type=arguments.seconds,
        metavar="SECONDS",
        help="the longest that one cell may train",
    )
    _add_retry(command)


def _add_retry(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--retry-failed", action="store_true", help="try units again that have failed before"
    )
    command.add_argument(
        "--fail-fast", action="store_true", help="end with the first unit that fails"
    )


def _add_compare(command: argparse.ArgumentParser) -> None:
    command.add_argument("a", metavar="A", type=Path, help="results before, as results/default")
    command.add_argument("b", metavar="B", type=Path, help="results after, as other/default")
    command.add_argument(
        "--threshold",
        type=arguments.share,
        metavar="SHARE",
        help="the relative change of time that matters (default: 0.10 on a CPU, 0.05 on CUDA)",
    )
    command.add_argument(
        "--fail-on",
        type=arguments.verdicts,
        metavar="LIST",
        default=(),
        help=f"end with exit code 1 where a verdict is one of these, out of {','.join(VERDICTS)}",
    )
    command.add_argument(
        "--allow-mixed", action="store_true", help="compare times of different devices"
    )
    command.add_argument("--json", action="store_true", help="for programs to read")
    command.set_defaults(command=compare_results)


def _add_report(command: argparse.ArgumentParser) -> None:
    _add_folders(command)
    command.add_argument(
        "--format",
        dest="formats",
        type=arguments.formats,
        metavar="LIST",
        help=f"what to write, out of {','.join(FORMATS)} (default: all)",
        default=FORMATS,
    )
    command.set_defaults(command=report_folders)


def _add_profile(command: argparse.ArgumentParser) -> None:
    command.add_argument("suite", nargs="?", metavar="SUITE", type=Path, help="a suite file")
    _add_suite_options(command)
    _add_retry(command)
    command.add_argument("-q", "--quiet", action="store_true", help="print results only")
    command.add_argument(
        "--trace",
        type=Path,
        metavar="FILE",
        help="in place of a suite: a trace of the PyTorch profiler, .json or .json.gz, of whatever "
        "program",
    )
    command.add_argument("--json", action="store_true", help="with --trace: for programs to read")
    command.add_argument(
        "--memory-snapshot",
        action="store_true",
        help="on CUDA: write what the allocator does in a step beside each trace, for "
        "pytorch.org/memory_viz",
    )
    command.set_defaults(command=profile)


def _add_search(command: argparse.ArgumentParser) -> None:
    command.add_argument("suite", metavar="SUITE", type=Path, help="a suite file with `search`")
    _add_suite_options(command)
    _add_run_options(command)
    command.add_argument(
        "--storage",
        metavar="URL",
        help="where Optuna keeps the studies (default: a journal in the results)",
    )
    command.add_argument("-q", "--quiet", action="store_true", help="no progress")
    command.set_defaults(command=search_settings)


def _add_export(command: argparse.ArgumentParser) -> None:
    _add_folders(command)
    command.add_argument(
        "--to",
        choices=TARGETS,
        required=True,
        help="the frame as csv or parquet, or train records as runs of wandb or mlflow, on disk",
    )
    command.add_argument(
        "--out",
        type=Path,
        metavar="PATH",
        help="the file, or for wandb and mlflow the folder (default: in FOLDER)",
    )
    command.add_argument(
        "--project",
        metavar="NAME",
        help="project of W&B (default: mtmm-bench), or experiment of MLflow (default: the suite)",
    )
    command.set_defaults(command=export_folders)


def _add_folders(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "folders", nargs="+", metavar="FOLDER", type=Path, help="such as results/default"
    )


def _add_check(command: argparse.ArgumentParser) -> None:
    _add_plugins(command)
    command.add_argument(
        "--data", type=Path, metavar="SUITE", help="what was understood of the data of a suite"
    )
    command.add_argument(
        "--picture",
        type=arguments.png,
        metavar="FILE",
        help="with --data: draw a few samples, as a PNG",
    )
    command.set_defaults(command=check_plugins)


def _add_results(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="folder of the records (default: results)",
    )


def _add_suite_options(command: argparse.ArgumentParser) -> None:
    _add_results(command)
    command.add_argument(
        "--device",
        default="auto",
        help="auto, cpu, cuda, cuda:N or a list of GPUs, cuda:0,cuda:1 (default: auto)",
    )
    command.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="overrule a setting of the base, such as train.epochs=3; may be repeated",
    )
    command.add_argument("--seeds", metavar="N", help="overrule `seeds`, such as 3 or [0, 7]")
    command.add_argument(
        "--smoke", action="store_true", help="every variant once: a few steps on little data"
    )
    _add_plugins(command)


def _add_plugins(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--plugin",
        dest="plugins",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a Python file with components of your own; may be repeated",
    )


def run_suites(options: argparse.Namespace) -> int:
    """`run`."""
    return _run(options, workers=options.workers, timeout_s=options.timeout, train=True)


def time_suites(options: argparse.Namespace) -> int:
    """`time`."""
    return _run(options, workers=None, timeout_s=None, train=False)


def _run(
    options: argparse.Namespace, *, workers: int | None, timeout_s: float | None, train: bool
) -> int:
    from bench.commands.request import Request
    from bench.commands.run import run
    from bench.execution.run import Options

    request = Request.of(options)
    how = Options(
        devices=request.devices,
        workers=workers,
        timeout_s=timeout_s,
        retry_failed=options.retry_failed,
        fail_fast=options.fail_fast,
        train=train,
    )
    return run(options.suites, request, how, quiet=options.quiet)


def search_settings(options: argparse.Namespace) -> int:
    """`search`."""
    from bench.commands.request import Request
    from bench.commands.search import search
    from bench.execution.run import Options

    request = Request.of(options)
    how = Options(
        devices=request.devices,
        workers=options.workers,
        timeout_s=options.timeout,
        retry_failed=options.retry_failed,
        fail_fast=options.fail_fast,
    )
    return search(options.suite, request, how, options.storage, quiet=options.quiet)


def show_plan(options: argparse.Namespace) -> int:
    """`plan`."""
    from bench.commands.plan import plan
    from bench.commands.request import Request

    return plan(options.suite, Request.of(options), as_json=options.json)


def report_folders(options: argparse.Namespace) -> int:
    """`report`."""
    from bench.commands.report import report

    return report(options.folders, options.formats)


def compare_results(options: argparse.Namespace) -> int:
    """`compare`."""
    from bench.commands.compare import compare

    return compare(
        options.a,
        options.b,
        threshold=options.threshold,
        allow_mixed=options.allow_mixed,
        fail_on=options.fail_on,
        json=options.json,
    )


def profile(options: argparse.Namespace) -> int:
    """`profile`."""
    from bench.commands.profile import profile as profile_one

    return profile_one(options)


def export_folders(options: argparse.Namespace) -> int:
    """`export`."""
    from bench.commands.export import export

    return export(options.folders, options.to, options.out, options.project)


def check_plugins(options: argparse.Namespace) -> int:
    """`check`."""
    from bench.commands.check import check

    if not options.plugins and options.data is None:
        raise InputError("check needs --plugin FILE or --data SUITE")
    if options.picture is not None and options.data is None:
        raise InputError("--picture goes with --data SUITE, whose samples it shows")
    return check(options.plugins, options.data, options.picture)


def show_status(options: argparse.Namespace) -> int:
    """`status`."""
    from bench.commands.status import status

    return status(options.results)


def list_components(options: argparse.Namespace) -> int:
    """`list`."""
    from bench.commands.components import list_components

    return list_components(options.kind, options.plugins)


def print_schema(options: argparse.Namespace) -> int:
    """`schema`."""
    from bench.commands.components import schema

    return schema(options.plugins)
