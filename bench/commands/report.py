"""`report`: tables from the records that are there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.errors import OK
from bench.report.frame import load_manifest
from bench.report.table import accuracy_table, cost_table, notes
from bench.report.write import load_comparison, write_report


def report(folders: Sequence[Path]) -> int:
    """Write the reports anew from the records and print the tables."""
    for folder in folders:
        print_report(folder)
    return OK


def print_report(folder: Path) -> None:
    """Write the report of a suite and print what it says."""
    files = write_report(folder)
    manifest, comparison = load_manifest(folder), load_comparison(folder)
    print(f"\n{manifest['suite']}: {manifest['question']}".rstrip(" :"))
    print()
    print(accuracy_table(comparison))
    print(cost_table(comparison))
    print("\n".join(f"- {note}" for note in notes(comparison)))
    for skip in manifest["skips"]:
        print(f"- Skipped: {skip['variant']}: {skip['reason']}")
    print(f"\nFiles: {', '.join(map(str, files))}")
