"""Values of the command line: each function reads one, or says what it must be."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bench.report import FORMATS, VERDICTS


def count(text: str) -> int:
    """A whole number at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number at least 0; found '{text}'")
    return int(text)


def seconds(text: str) -> float:
    """A number of seconds above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0; found '{text}'")
    return number


def png(text: str) -> Path:
    """A path that ends in .png."""
    if not text.lower().endswith(".png"):
        raise argparse.ArgumentTypeError(f"must end in .png; found '{text}'")
    return Path(text)


def formats(text: str) -> tuple[str, ...]:
    """Formats of a report, with commas between."""
    return _words(text, FORMATS)


def verdicts(text: str) -> tuple[str, ...]:
    """Verdicts of a comparison, with commas between."""
    return _words(text, VERDICTS)


def _words(text: str, known: Sequence[str]) -> tuple[str, ...]:
    words = tuple(text.split(","))
    unknown = [word for word in words if word not in known]
    if unknown:
        raise argparse.ArgumentTypeError(f"must be out of {', '.join(known)}; found '{unknown[0]}'")
    return words


def share(text: str) -> float:
    """A number between 0 and 1."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"must lie between 0 and 1, as 0.05; found '{text}'")
    return number
