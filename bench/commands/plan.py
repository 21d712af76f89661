"""`plan`: what a suite would run."""

from __future__ import annotations

import json
from pathlib import Path

from bench.commands.request import Request, check_readable
from bench.errors import OK
from bench.overview import overview, overview_text
from bench.store import Store


def plan(suite: Path, request: Request, *, as_json: bool) -> int:
    """Print what a suite would run, what of it is there already, and how long the rest takes."""
    planned = request.plan(suite)
    check_readable(request.results)
    told = overview(planned, Store(request.results), request.devices[0])
    print(json.dumps(told, indent=1, ensure_ascii=False) if as_json else overview_text(told))
    return OK
