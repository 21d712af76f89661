"""A table for a LaTeX document: booktabs rules, everything escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.lines import one_line
from bench.report.columns import Column

_ESCAPED = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': "''",
        # At the start of a row these would belong to the line break before it.
        "[": "{[}",
        "*": "{*}",
        "–": r"\textendash{}",
        "…": r"\ldots{}",
        # Letters that a plain article does not know.
        "Δ": r"$\Delta$",
        "±": r"$\pm$",
        "−": "$-$",
        "×": r"$\times$",
        **{char: f"\\{char}" for char in "&%$#_{}"},
    }
)


def to_latex(columns: Sequence[Column]) -> str:
    """The columns as a `tabular`; the document needs package booktabs."""
    rows = zip(*([_cell(cell, column) for cell in column.cells] for column in columns), strict=True)
    lines = [
        r"% needs \usepackage{booktabs}",
        rf"\begin{{tabular}}{{{''.join('r' if c.numeric else 'l' for c in columns)}}}",
        r"\toprule",
        _row([escaped(column.heading) for column in columns]),
        r"\midrule",
        *map(_row, rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text on one line that LaTeX prints as it is."""
    # Two hyphens in a row would be drawn as one dash.
    return re.sub("-(?=-)", "-{}", one_line(text).translate(_ESCAPED))


def _cell(text: str, column: Column) -> str:
    return escaped(text.replace("-", "−") if column.numeric else text)


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
