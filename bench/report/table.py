"""A comparison as tables: plain text for the terminal, Markdown for a paper, CSV for a machine."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from bench.compare import Comparison
from bench.report.columns import (
    Column,
    accuracy_columns,
    cost_columns,
    one_line,
    resampling_columns,
)
from bench.report.notes import notes

WIDTH = 120
"""Widest line of a terminal table, unless its numbers alone need more."""

MIN_NAME_WIDTH = 12


def accuracy_table(comparison: Comparison) -> str:
    """Metrics, score, difference to the baseline and verdict as aligned plain text."""
    return _aligned(accuracy_columns(comparison))


def cost_table(comparison: Comparison) -> str:
    """Change against single-task learning, size, time and memory as aligned plain text.

    Columns that no variant has are left out.
    """
    columns = cost_columns(comparison)
    return _aligned(columns) if columns else ""


def to_markdown(comparison: Comparison) -> str:
    """Both tables as GitHub tables, and below them what a reader must know to judge them."""
    cost = cost_columns(comparison)
    parts = [_github([*accuracy_columns(comparison), *resampling_columns(comparison)])]
    if cost:
        parts.append(_github(cost))
    parts.append("\n".join(f"- {markdown(note)}" for note in notes(comparison)))
    return "\n\n".join(parts) + "\n"


def to_csv(comparison: Comparison) -> str:
    """The whole comparison as one wide table in full precision; what is missing stays empty."""
    return comparison.table.to_csv(index=False, lineterminator="\n")


def markdown(text: str) -> str:
    """Text on one line that starts no HTML tag and cannot end a table cell."""
    plain = one_line(text).replace("\\", "\\\\").replace("|", "\\|")
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", plain)


def code(text: str) -> str:
    """Text as Markdown code on one line, whatever backticks are in it."""
    plain = one_line(text)
    longest = max(map(len, re.findall("`+", plain)), default=0)
    fence, space = "`" * (longest + 1), " " * (longest > 0)
    return f"{fence}{space}{plain}{space}{fence}"


def _aligned(columns: Sequence[Column]) -> str:
    names, *others = columns
    headings = [column.heading.split("\n") for column in columns]
    widths = [
        max(map(len, [*heading, *column.cells]))
        for heading, column in zip(headings, columns, strict=True)
    ]
    widths[0] = min(widths[0], max(MIN_NAME_WIDTH, WIDTH - sum(widths[1:]) - 2 * len(others)))
    depth = max(map(len, headings))
    rows = [[heading[i] if i < len(heading) else "" for heading in headings] for i in range(depth)]
    rows.append(["─" * width for width in widths])
    for i, name in enumerate(names.cells):
        first, *rest = _wrapped(name, widths[0])
        rows.append([first, *(column.cells[i] for column in others)])
        rows.extend([line, *("" for _ in others)] for line in rest)
    lines = (
        "  ".join(
            cell.rjust(width) if column.numeric else cell.ljust(width)
            for cell, width, column in zip(row, widths, columns, strict=True)
        ).rstrip()
        for row in rows
    )
    return "\n".join(lines) + "\n"


def _wrapped(name: str, width: int) -> list[str]:
    # Names of variants are lists of settings: a comma is where they read best.
    return [name] if len(name) <= width else textwrap.wrap(name.replace(",", ", "), width)


def _github(columns: Sequence[Column]) -> str:
    rows = [
        [markdown(column.heading) for column in columns],
        ["---:" if column.numeric else "---" for column in columns],
        *zip(*([markdown(cell) for cell in column.cells] for column in columns), strict=True),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
