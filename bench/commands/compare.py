"""`compare`: the results of one run of a suite against those of another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.errors import FAILED, OK
from bench.report.frame import load_results
from bench.report.runs import as_json, text
from bench.runs import compare_runs


def compare(
    a: Path,
    b: Path,
    *,
    threshold: float | None,
    allow_mixed: bool,
    fail_on: Sequence[str],
    json: bool,
) -> int:
    """Print B against A; 1 where a verdict is among `fail_on`."""
    first, second = load_results(a), load_results(b)
    found = compare_runs(first.frame, second.frame, threshold=threshold, allow_mixed=allow_mixed)
    print((as_json if json else text)(found, first, second))
    return FAILED if found.verdicts() & set(fail_on) else OK
