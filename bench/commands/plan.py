"""`plan`: what a suite would run."""

from __future__ import annotations

import json
from pathlib import Path

from bench.commands.request import Request, check_results
from bench.errors import OK
from bench.overview import overview, overview_text
from bench.store import Store


def plan(suite: Path, request: Request, *, as_json: bool) -> int:
    """Print what a suite would run, what of it is there already, and how long the rest takes."""
    planned = request.plan(suite)
    if request.results.exists():
        check_results(request.results)
    told = overview(planned, Store(request.results), request.device)
    print(json.dumps(told, indent=1, ensure_ascii=False) if as_json else overview_text(told))
    return OK
