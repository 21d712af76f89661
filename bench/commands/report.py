"""`report`: tables, figures and pages from the records that are there."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from bench.errors import BAD_INPUT, OK, InputError
from bench.lines import one_line
from bench.report import FORMATS
from bench.report.analysis import Analysis, analyse
from bench.report.notes import notes
from bench.report.robustness import NOTES, robustness_columns
from bench.report.table import accuracy_table, aligned, cost_table, single_task_table
from bench.report.write import write_analysis


def report(folders: Sequence[Path], formats: Sequence[str] = FORMATS) -> int:
    """Write the reports anew from the records and print the tables.

    A folder that holds no results, or cannot be written, is told and the others are reported; it
    ends with 2.
    """
    code = OK
    for folder in folders:
        try:
            print_report(folder, formats)
        except InputError as error:
            print(one_line(error), file=sys.stderr)
            code = BAD_INPUT
    return code


def print_report(folder: Path, formats: Sequence[str] = FORMATS) -> None:
    """Print what the report of a suite says, then write it; InputError where that fails."""
    analysis = analyse(folder)
    print_tables(analysis)
    write_files(analysis, formats)


def print_tables(analysis: Analysis) -> None:
    """Print what the report of a suite says."""
    manifest, comparison = analysis.manifest, analysis.comparison
    print(f"\n{one_line(manifest['suite'])}: {one_line(manifest['question'])}".rstrip(" :"))
    print()
    print(accuracy_table(comparison))
    for table in (single_task_table(comparison), cost_table(comparison)):
        if table:
            print(table)
    less = robustness_columns(analysis.robustness)
    if less:
        print(aligned(less))
    print("\n".join(f"- {note}" for note in (*notes(comparison), *(NOTES if less else ()))))
    for skip in analysis.skips:
        print(f"- Skipped: {one_line(skip['variant'])}: {one_line(skip['reason'])}")
    print(f"\n{' '.join(analysis.verdict)}")


def write_files(analysis: Analysis, formats: Sequence[str] = FORMATS) -> None:
    """Write the report of a suite and print where; InputError where that fails."""
    files = write_analysis(analysis, formats)
    print(f"\nFiles: {_told(analysis, files)}", flush=True)


def _told(analysis: Analysis, files: Sequence[Path]) -> str:
    """The files, folders of several told as one."""
    folder = analysis.results.folder
    return ", ".join(
        dict.fromkeys(
            str(path) if path.parent in (folder, folder.parent) else f"{path.parent}/"
            for path in files
            if path.name != "summary.json"
        )
    )
