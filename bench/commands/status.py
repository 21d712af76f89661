"""`status`: what a results folder holds and what runs now."""

from __future__ import annotations

from pathlib import Path

from bench.errors import BAD_INPUT, OK, InputError
from bench.status import status_text
from bench.store import Store


def status(results: Path) -> int:
    """Print the state of every suite in a results folder; 2 where one cannot be read."""
    if not results.is_dir():
        raise InputError(f"--results {results}: there is no such folder")
    text, readable = status_text(Store(results))
    print(text)
    return OK if readable else BAD_INPUT
