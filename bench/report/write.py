"""The report of a suite: its tables as files, out of its frame alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bench.compare import Comparison, compare
from bench.report.frame import load_frame, load_manifest
from bench.report.table import to_csv, to_markdown
from bench.store import write_text
from mtmm.heads.base import Metric


def load_comparison(folder: str | Path) -> Comparison:
    """The comparison of a suite's variants with its baseline."""
    return _compared(load_frame(folder), load_manifest(folder))


def write_report(folder: str | Path) -> list[Path]:
    """Write `report.md`, `comparison.csv` and `frame.csv` into a suite's folder; their paths."""
    folder = Path(folder)
    manifest, frame = load_manifest(folder), load_frame(folder)
    comparison = _compared(frame, manifest)
    files = {
        "report.md": _page(manifest, comparison),
        "comparison.csv": to_csv(comparison),
        "frame.csv": frame.to_csv(index=False, lineterminator="\n"),
    }
    for name, text in files.items():
        write_text(folder / name, text)
    return [folder / name for name in files]


def _compared(frame: pd.DataFrame, manifest: Mapping[str, Any]) -> Comparison:
    return compare(
        frame,
        baseline=manifest["baseline"],
        single_task=manifest["single_task"],
        metrics={name: Metric(**metric) for name, metric in manifest["metrics"].items()},
        family=[
            variant["name"]
            for variant in manifest["variants"]
            if variant["compared"] and variant["name"] != manifest["baseline"]
        ],
    )


def _page(manifest: Mapping[str, Any], comparison: Comparison) -> str:
    lines = [f"# {manifest['suite']}", "", manifest["question"], "", to_markdown(comparison)]
    if manifest["skips"]:
        lines += ["Skipped:", ""]
        lines += [f"- {skip['variant']}: {skip['reason']}" for skip in manifest["skips"]]
        lines.append("")
    lines += [f"Made by `{manifest['command']}`.", ""]
    return "\n".join(lines)
