"""`report`: tables, figures and pages from the records that are there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.errors import OK
from bench.report import FORMATS
from bench.report.analysis import Analysis, analyse
from bench.report.notes import notes
from bench.report.table import accuracy_table, cost_table
from bench.report.write import write_analysis


def report(folders: Sequence[Path], formats: Sequence[str] = FORMATS) -> int:
    """Write the reports anew from the records and print the tables."""
    for folder in folders:
        print_report(folder, formats)
    return OK


def print_report(folder: Path, formats: Sequence[str] = FORMATS) -> None:
    """Write the report of a suite and print what it says."""
    analysis = analyse(folder)
    files = write_analysis(analysis, formats)
    manifest, comparison = analysis.manifest, analysis.comparison
    print(f"\n{manifest['suite']}: {manifest['question']}".rstrip(" :"))
    print()
    print(accuracy_table(comparison))
    print(cost_table(comparison))
    print("\n".join(f"- {note}" for note in notes(comparison)))
    for skip in manifest["skips"]:
        print(f"- Skipped: {skip['variant']}: {skip['reason']}")
    print(f"\n{' '.join(analysis.verdict)}")
    print(f"\nFiles: {_told(analysis, files)}")


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
