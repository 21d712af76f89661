"""Text that others wrote, on one line."""

from __future__ import annotations


def one_line(text: object) -> str:
    """Text on one line, without what no reader sees."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
