"""`status`: what a results folder holds and what runs now."""

from __future__ import annotations

from pathlib import Path

from bench.errors import OK, InputError
from bench.status import status_text
from bench.store import Store


def status(results: Path) -> int:
    """Print the state of every suite in a results folder."""
    if not results.is_dir():
        raise InputError(f"--results {results}: there is no such folder")
    print(status_text(Store(results)))
    return OK
