"""Tables that are not what their owner believes: what is in them is told, and nothing else done."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtmm.data.table import build, describe
from mtmm.data.tables.reading import read_table
from mtmm.spec import in_memory
from tests.tables import what_is_wrong, write_table

HOSTILE = (
    '=HYPERLINK("http://example.org","x")',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "\x1b[31mred\x1b[0m",
    "line\r\nbreak | pipe",
    "\u202egnp.exe",
    "{{ 7 * 7 }} %(x)s $x^2$",
)
"""Texts that a spreadsheet, a browser, a terminal, Markdown, a template or LaTeX would obey."""

X: dict[str, Any] = {"x": {"kind": "vector", "columns": ["x"]}}
Y: dict[str, Any] = {"y": {"kind": "classification", "column": "y"}}


def write(folder: Path, text: str, encoding: str = "utf-8") -> str:
    (folder / "t.csv").write_bytes(text.encode(encoding))
    return str(folder / "t.csv")


def test_hostile_cells_are_text(tmp_path: Path) -> None:
    rows = list(range(80))
    cells = [HOSTILE[i % len(HOSTILE)] for i in rows]
    file = write_table(tmp_path, x=rows, note=cells, y=cells)
    made = build(
        file=file,
        inputs={"note": {"kind": "text", "column": "note", "length": 30}},
        tasks=Y,
    )
    assert made.tasks[0].classes == len(HOSTILE)
    assert read_table(Path(file))["y"].tolist() == cells
    batch = in_memory(made.train)
    # One class, one text: what the cells hold tells the classes apart and nothing was changed.
    pairs = {
        (int(y), tuple(x))
        for y, x in zip(batch.targets["y"], batch.inputs["note"].tolist(), strict=True)
    }
    assert len(pairs) == len(HOSTILE)


def test_messages_hold_nothing_that_a_terminal_obeys(tmp_path: Path) -> None:
    names = [f"{text}{i}" for i, text in enumerate(HOSTILE)]
    with (tmp_path / "t.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["x", "y", *names])
        writer.writerows([cell, cell, *HOSTILE] for cell in HOSTILE)
    file = str(tmp_path / "t.csv")
    columns = [name.strip() for name in names]
    for settings in (
        {"inputs": X, "tasks": Y},
        {"inputs": {"x": {"kind": "vector", "columns": columns}}, "tasks": Y},
        {"inputs": X, "tasks": {HOSTILE[4]: {"kind": "regression", "column": HOSTILE[4]}}},
        {"inputs": X, "tasks": Y, "split": {"column": "y"}},
        {"inputs": {"p": {"kind": "image", "column": "x"}}, "tasks": Y},
        {"inputs": {"p": {"kind": "audio", "column": "x"}}, "tasks": Y},
    ):
        told = what_is_wrong(file, **settings)
        assert told.isprintable()
        assert r"\x1b[31m" in told or "HYPERLINK" in told


MIXED = {
    "number": [str(i) for i in range(40)],
    "1/10": [f"{i / 10}" for i in range(40)],
    "exponent": [f"{i}e-3" for i in range(40)],
    "empty": [""] * 40,
    "blank": ["  "] * 40,
    "words": ["red", "green"] * 20,
    "dates": [f"2020-01-{1 + i % 28:02}" for i in range(40)],
    "unicode": ["Ω", "文字", "🙂", "e\u0301"] * 10,
    "long": ["x" * 300_000, *["y"] * 39],
    "nan": ["NaN", "nan", "NA", "null"] * 10,
    "inf": ["inf", "-Infinity", *["1"] * 38],
    "huge": ["1e400", "-1e400", "1e39", *["1"] * 37],
    "thousands": ["1,000", "2,000", "1 000", "1_000", *["1"] * 36],
    "flags": ["true", "FALSE"] * 20,
    "hex": ["0x10", *["1"] * 39],
    "quoted": ['he said "no"', "a\nb", *["c"] * 38],
}
BAD = {
    "words": 40,
    "dates": 40,
    "unicode": 40,
    "long": 40,
    "inf": 2,
    "huge": 3,
    "thousands": 4,
    "flags": 40,
    "hex": 1,
    "quoted": 40,
}
"""How many cells of a column are no numbers."""


@pytest.fixture
def mixed(tmp_path: Path) -> str:
    columns: dict[str, list[Any]] = {f"{k} {i}": v for i in range(6) for k, v in MIXED.items()}
    return write_table(
        tmp_path, **columns, y=["a", "b"] * 20, part=["train", "train", "val", "test"] * 10
    )


def test_a_hundred_columns_of_every_kind_are_told_at_once(mixed: str) -> None:
    columns = list(read_table(Path(mixed)).columns)
    assert len(columns) == 98
    told = what_is_wrong(mixed, inputs={"x": {"kind": "vector", "columns": columns[:96]}}, tasks=Y)
    problems = told.split("; column ")
    assert len(problems) == 6 * len(BAD)
    for name, count in BAD.items():
        for i in range(6):
            assert f"'{name} {i}' must hold finite numbers as 1234.5; found {count} others" in told
    assert "row 2: '1,000', row 3: '2,000', row 4: '1 000', ...)" in told
    assert "row 2: '1e400', row 3: '-1e400', row 4: '1e39')" in told
    assert len(told) < 200 * 6 * len(BAD)  # a cell of 300,000 letters is cut


def test_the_numbers_among_them_can_be_used(mixed: str) -> None:
    good = [name for name in MIXED if name not in BAD]
    columns = [f"{name} 3" for name in good]
    made = build(
        file=mixed,
        inputs={"x": {"kind": "vector", "columns": columns}},
        tasks=Y,
        split={"column": "part"},
    )
    x = in_memory(made.train).inputs["x"]
    assert torch.isfinite(x).all()
    assert x[:, :3].std(0, correction=0).numpy() == pytest.approx(np.ones(3), abs=1e-5)
    assert (x[:, 3:] == 0).all()  # empty, blank and NaN


def test_a_label_of_spaces_is_missing(tmp_path: Path) -> None:
    rows = "".join(f"{i},{'ab'[i % 2]}\n" for i in range(40))
    about = describe(
        file=write(tmp_path, f"x,y\n{rows}1,\n2,   \n3, NA \n4,None\n"), inputs=X, tasks=Y
    )
    assert about.tasks[0].classes == 2


def test_byte_order_marks_and_unnamed_columns_are_passed_over(tmp_path: Path) -> None:
    rows = "".join(f"{i},{'ab'[i % 2]}\n" for i in range(40))
    plain = describe(file=write(tmp_path, f"x,y\n{rows}"), inputs=X, tasks=Y)
    marked = describe(file=write(tmp_path, f"x,y\n{rows}", "utf-8-sig"), inputs=X, tasks=Y)
    unnamed = "".join(f"{line},,\n" for line in f"x,y\n{rows}".splitlines())
    assert plain == marked == describe(file=write(tmp_path, unnamed), inputs=X, tasks=Y)


def test_a_row_is_no_data_set(tmp_path: Path) -> None:
    told = what_is_wrong(write(tmp_path, "x,y\n1,a\n"), inputs=X, tasks=Y)
    assert "val has no row; test has no row" in told
    assert "must have 2 to 1000 classes in column 'y'; found 1" in told


def test_ids_that_are_in_two_splits(tmp_path: Path) -> None:
    file = write_table(
        tmp_path,
        x=list(range(10)),
        y=["a", "b"] * 5,
        id=["p1", "p2", "p3", "\x1b[2J", "p5", "p1", "\x1b[2J", "p8", "p1", "p10"],
        part=["train"] * 5 + ["val"] * 3 + ["test"] * 2,
    )
    told = what_is_wrong(file, inputs=X, tasks=Y, split={"column": "part", "group": "id"})
    assert "2 values of column 'id' are in train and in val: '\\x1b[2J', 'p1'" in told
    assert "1 values of column 'id' are in train and in test: 'p1'" in told
    assert "1 values of column 'id' are in val and in test: 'p1'" in told


def test_classes_out_of_range_and_without_rows(tmp_path: Path) -> None:
    file = write_table(
        tmp_path,
        x=list(range(8)),
        y=["a", "b", "", "c", "a", "b", "d", "a"],
        flag=["1", "0", "2", "maybe", "yes", "no", "-1", ""],
        part=["train"] * 4 + ["val"] * 2 + ["test"] * 2,
    )
    tasks: dict[str, Any] = {
        **Y,
        "f": {"kind": "multilabel", "columns": ["flag"]},
        "o": {"kind": "ordinal", "column": "y", "order": ["a", "b", "c", "d", "e"]},
    }
    told = what_is_wrong(file, inputs=X, tasks=tasks, split={"column": "part"})
    assert "task 'y' has 1 classes of column 'y' without a row in train: 'd'" in told
    assert "task 'o' has 2 classes of column 'y' without a row in train: 'd', 'e'" in told
    assert (
        "column 'flag' must hold 1 or 0, true or false; found 3 others "
        "(row 4: '2', row 5: 'maybe', row 8: '-1')"
    ) in told
