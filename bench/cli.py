"""The command line. PyTorch is imported only by commands that need it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.errors import BAD_INPUT, FAILED, OK, InputError
from mtmm._version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 done, 1 some units failed, 2 bad input."""
    options = parser().parse_args(arguments)
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
    _add_results(run)
    run.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    run.add_argument("-q", "--quiet", action="store_true", help="no progress")
    run.set_defaults(command=run_suites)

    plan = commands.add_parser("plan", help="show what a suite would run, and run nothing")
    plan.add_argument("suite", metavar="SUITE", type=Path, help="a suite file")
    _add_results(plan)
    plan.add_argument("--device", default="auto", help="as for run")
    plan.set_defaults(command=show_plan)

    report = commands.add_parser("report", help="write and print the report of finished suites")
    report.add_argument(
        "folders", nargs="+", metavar="FOLDER", type=Path, help="such as results/default"
    )
    report.set_defaults(command=report_folders)

    listing = commands.add_parser("list", help="list components and their settings")
    listing.add_argument("kind", nargs="?", help="only this kind, such as fusions")
    listing.set_defaults(command=list_components)
    return whole


def _add_results(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--results",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="folder of the records (default: results)",
    )


def run_suites(options: argparse.Namespace) -> int:
    """`run`."""
    from bench.commands import run

    return run(options.suites, results=options.results, device=options.device, quiet=options.quiet)


def show_plan(options: argparse.Namespace) -> int:
    """`plan`."""
    from bench.commands import plan

    return plan(options.suite, results=options.results, device=options.device)


def report_folders(options: argparse.Namespace) -> int:
    """`report`."""
    from bench.commands import report

    return report(options.folders)


def list_components(options: argparse.Namespace) -> int:
    """`list`."""
    from bench.commands import list_components

    return list_components(options.kind)
