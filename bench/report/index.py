"""The index of all suites of a results folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.lines import one_line
from bench.report.analysis import Analysis
from bench.report.files import write_file
from bench.report.page import counts, date, templates

SUMMARY = "summary.json"
"""What a report leaves beside it for the index, so that no index reads records."""


def write_summary(analysis: Analysis) -> Path:
    """Keep what the index tells of this suite."""
    manifest = analysis.manifest
    summary = {
        "suite": one_line(manifest["suite"]),
        "question": manifest["question"],
        "verdict": analysis.verdict,
        "newest": date(analysis.newest),
        "counts": counts(analysis),
    }
    path = analysis.results.folder / SUMMARY
    write_file(path, json.dumps(summary, indent=1, ensure_ascii=False))
    return path


def write_index(results: Path) -> Path:
    """Write `index.html` out of the summaries of all suites that have a report."""
    read = [_read(path) for path in sorted(results.glob(f"*/{SUMMARY}"))]
    suites = sorted((s for s in read if s is not None), key=lambda s: s["newest"], reverse=True)
    path = results / "index.html"
    write_file(path, templates().get_template("index.html").render(suites=suites))
    return path


def _read(path: Path) -> Mapping[str, Any] | None:
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        told = {key: str(summary[key]) for key in ("suite", "question", "newest", "counts")}
        verdict = [str(sentence) for sentence in summary["verdict"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not ours, or cut off: its own report writes it anew
    pages = [name for name in ("report.html", "report.md") if (path.parent / name).exists()]
    link = quote(f"{path.parent.name}/{pages[0]}") if pages else ""
    return {**told, "verdict": verdict, "link": link}
