"""The report of a suite: its tables as files, out of its frame alone."""

from __future__ import annotations

from pathlib import Path

from bench.compare import Comparison, compare
from bench.report.frame import load_frame, load_manifest
from bench.report.table import to_csv, to_markdown
from bench.store import write_text
from mtmm.heads import HEADS
from mtmm.heads.base import Metric


def load_comparison(folder: str | Path) -> Comparison:
    """The comparison of a suite's variants with its baseline."""
    manifest = load_manifest(folder)
    return compare(
        load_frame(folder),
        baseline=manifest["baseline"],
        single_task=manifest["single_task"],
        metrics=directed_metrics(),
    )


def directed_metrics() -> dict[str, Metric]:
    """Every metric of every kind of task, a kind's primary one first."""
    metrics: dict[str, Metric] = {}
    for head in HEADS.values():
        objective = head.objective
        metrics[objective.primary] = objective.metrics[objective.primary]
        metrics |= objective.metrics
    return metrics


def write_report(folder: str | Path) -> list[Path]:
    """Write `report.md`, `comparison.csv` and `frame.csv` into a suite's folder; their paths."""
    folder = Path(folder)
    comparison = load_comparison(folder)
    files = {
        "report.md": _page(folder, comparison),
        "comparison.csv": to_csv(comparison),
        "frame.csv": load_frame(folder).to_csv(index=False, lineterminator="\n"),
    }
    for name, text in files.items():
        write_text(folder / name, text)
    return [folder / name for name in files]


def _page(folder: Path, comparison: Comparison) -> str:
    manifest = load_manifest(folder)
    lines = [f"# {manifest['suite']}", "", manifest["question"], "", to_markdown(comparison)]
    if manifest["skips"]:
        lines += ["Skipped:", ""]
        lines += [f"- {skip['variant']}: {skip['reason']}" for skip in manifest["skips"]]
        lines.append("")
    lines += [f"Made by `{manifest['command']}`.", ""]
    return "\n".join(lines)
