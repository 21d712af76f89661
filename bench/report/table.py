"""A comparison as tables: plain text for the terminal, Markdown for a paper, CSV for a machine."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from bench.compare import TO_BEST, Comparison
from bench.lines import one_line
from bench.report.columns import (
    Column,
    accuracy_columns,
    contrast_columns,
    cost_columns,
    resampling_columns,
    single_task_columns,
    wide_columns,
)
from bench.report.notes import notes

WIDTH = 100
"""Widest line of a terminal table, unless its numbers alone need more."""

MIN_NAME_WIDTH = 12


def accuracy_table(comparison: Comparison) -> str:
    """Metrics, score, difference to the baseline and verdict as aligned plain text.

    What there is to say about a second comparator is a table of its own, below.
    """
    columns = accuracy_columns(comparison)
    tables = [aligned(columns)]
    if TO_BEST in comparison.comparators:
        tables.append(f"Against {one_line(comparison.comparators[TO_BEST])}, the best on val:\n")
        tables.append(aligned([columns[0], *contrast_columns(comparison, TO_BEST)]))
    return "\n".join(tables)


def single_task_table(comparison: Comparison) -> str:
    """Each task against learning it alone, as aligned plain text; empty without such runs."""
    columns = single_task_columns(comparison)
    return aligned(columns) if columns else ""


def cost_table(comparison: Comparison) -> str:
    """Size, time and memory as aligned plain text.

    Columns that no variant has are left out.
    """
    columns = cost_columns(comparison)
    return aligned(columns) if columns else ""


def to_markdown(comparison: Comparison) -> str:
    """All tables as GitHub tables, and below them what a reader must know to judge them."""
    parts = [github([*wide_columns(comparison), *resampling_columns(comparison)])]
    further = (single_task_columns(comparison), cost_columns(comparison))
    parts += [github(columns) for columns in further if columns]
    parts.append("\n".join(f"- {markdown(note)}" for note in notes(comparison)))
    return "\n\n".join(parts) + "\n"


def to_csv(comparison: Comparison) -> str:
    """The whole comparison as one wide table in full precision; what is missing stays empty."""
    return comparison.table.to_csv(index=False, lineterminator="\n")


def markdown(text: str) -> str:
    """Text on one line that Markdown shows as it is, in a table or at the start of a line."""
    plain = re.sub(r"([\\`*_\[\]<>!~#|&])", r"\\\1", one_line(text))
    plain = re.sub(r"^([-+=])(?=[-+= ]|$)", r"\\\1", plain)  # a list, a rule or a heading
    return re.sub(r"^(\d+)(?=[.)]( |$))", r"\1\\", plain)


def code(text: str) -> str:
    """Text as Markdown code on one line, whatever backticks are in it."""
    plain = one_line(text)
    longest = max(map(len, re.findall("`+", plain)), default=0)
    fence, space = "`" * (longest + 1), " " * (longest > 0)
    return f"{fence}{space}{plain}{space}{fence}"


def aligned(columns: Sequence[Column]) -> str:
    """The columns as aligned plain text, in several tables where one would be too wide.

    Each begins with the first column, which is wrapped where it is long.
    """
    names, *others = columns
    return "\n".join(_aligned([names, *some]) for some in _parts(others))


def _parts(columns: Sequence[Column]) -> list[list[Column]]:
    """Neighbours that fit beside a narrow first column: as few parts, as equal, as can be."""
    room = WIDTH - MIN_NAME_WIDTH
    fewest = len(_greedy(columns, room))
    narrowest = min(sum(_width(column) + 2 for column in columns) // fewest, room)
    tried = (_greedy(columns, width) for width in range(narrowest, room + 1))
    return next(parts for parts in tried if len(parts) == fewest)


def _greedy(columns: Sequence[Column], room: int) -> list[list[Column]]:
    parts: list[list[Column]] = [[]]
    left = room
    for column in columns:
        width = _width(column) + 2
        if width > left and parts[-1]:
            parts.append([])
            left = room
        parts[-1].append(column)
        left -= width
    return parts


def _width(column: Column) -> int:
    return max(map(len, [*column.heading.split("\n"), *column.cells]))


def _aligned(columns: Sequence[Column]) -> str:
    names, *others = columns
    headings = [column.heading.split("\n") for column in columns]
    widths = [_width(column) for column in columns]
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


def github(columns: Sequence[Column]) -> str:
    """The columns as a GitHub table."""
    rows = [
        [markdown(column.heading) for column in columns],
        ["---:" if column.numeric else "---" for column in columns],
        *zip(*map(_cells, columns), strict=True),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cells(column: Column) -> Sequence[str]:
    # Numbers are ours, and hold no more than the brackets of an interval.
    return column.cells if column.numeric else [markdown(cell) for cell in column.cells]
