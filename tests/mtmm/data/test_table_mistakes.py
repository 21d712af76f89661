"""What is wrong with a table, or with what a suite says of it, is told before anything trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from tests.tables import INPUTS, TASKS, what_is_wrong, write_glyphs, write_table


def test_everything_that_is_wrong_with_a_table_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    with (tmp_path / "big.png").open("wb") as stream:
        Image.new("1", (20_000, 6_000)).save(stream)
    file = write_table(
        tmp_path,
        photo=["a.png", "big.png", "gone.png", None, None, None],
        age=["1", "=1+1", "inf", "4", "<b>", "6"],
        grade=["low", "mid", "low", "mid", "huge", "low"],
        part=["train", "train", "train", "train", "val", "tset"],
    )
    settings: dict[str, Any] = {
        "inputs": {
            "p": {"kind": "image", "column": "photo"},
            "n": {"kind": "vector", "columns": ["age"]},
        },
        "tasks": {"g": {"kind": "ordinal", "column": "grade", "order": ["low", "mid", "top"]}},
    }
    told = what_is_wrong(file, **settings, split={"column": "part"})
    for fact in (
        f"{file}: column 'part' must hold train, val, test; found 1 others (row 7: 'tset'); "
        "test has no row; ",
        "column 'photo' must hold paths of files that can be read; found 3 others "
        "(row 2: 'a.png' is no image that Pillow reads, "
        "row 3: 'big.png' has 20000 × 6000 pixels, more than 100,000,000, "
        "row 4: 'gone.png' is not there)",
        "column 'age' must hold finite numbers as 1234.5; found 3 others "
        "(row 3: '=1+1', row 4: 'inf', row 6: '<b>')",
        "column 'grade' must hold one of low, mid, top; found 1 others (row 6: 'huge')",
        "task 'g' has 1 classes of column 'grade' without a row in train: 'top'",
    ):
        assert fact in told
    assert "no label in test" not in told  # which has no row to label


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"inputs": {}}, "`inputs` must name one or more"),
        ({"inputs": {"x": {"kind": "pictur"}}}, "`kind` of inputs 'x' must be one of image, text"),
        ({"inputs": {"x": {"kind": "image"}}}, "inputs 'x' needs `column`, a word"),
        (
            {"inputs": {"x": {"kind": "image", "column": "phto"}}},
            "inputs 'x': the table has no column 'phto'; did you mean 'photo'? (photo, note,",
        ),
        (
            {"inputs": {"x": {"kind": "text", "column": "note", "lenght": 3}}},
            "unknown setting 'lenght' of inputs 'x'; did you mean 'length'?",
        ),
        (
            {"inputs": {"x": {"kind": "vector", "columns": "width"}}},
            "`columns` of inputs 'x' must be a list of words; found the word 'width'",
        ),
        (
            {"inputs": {"x": {"kind": "image", "column": "photo", "channels": 2}}},
            "input 'x' needs a `size` of at least 1 and 1 or 3 `channels`; found 64 and 2",
        ),
        ({"split": {"fractions": [0.5, 0.5, 0.5]}}, "must be three numbers above 0 that sum to 1"),
        ({"split": {"column": "part", "fractions": [0.6, 0.2, 0.2]}}, "either a `column` or"),
        ({"split": {"colunm": "part"}}, "unknown setting 'colunm' of split; did you mean"),
    ],
)
def test_settings_that_will_not_do(file: Path, settings: dict[str, Any], text: str) -> None:
    good: dict[str, Any] = {"inputs": INPUTS, "tasks": TASKS}
    assert text in what_is_wrong(str(file), **{**good, **settings})


def test_groups_that_lie_across_a_split_by_column(file: Path) -> None:
    told = what_is_wrong(
        str(file), inputs=INPUTS, tasks=TASKS, split={"column": "part", "group": "script"}
    )
    assert "3 values of column 'script' are in train and in val: 'cyrillic', 'greek'" in told


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("t.xlsx", b"", "`file` must end in .csv, .tsv or .parquet; found t.xlsx"),
        ("t.csv", None, "t.csv is not there"),
        ("t.csv", b"", "t.csv cannot be read: its first line must hold the names of columns"),
        ("t.csv", b",,\n1,2,3\n", "its first line must hold the names of columns"),
        ("t.csv", b"a,b\n", "t.csv cannot be read: it has no row"),
        ("t.csv", b"a,b\n\n\n", "t.csv cannot be read: it has no row"),
        ("t.csv", b'a,b\n"1,2\n', "t.csv cannot be read: line 2: unexpected end of data"),
        (
            "t.csv",
            b"\xff\xfea\x00",
            "it is not UTF-8: byte 0xff in line 1; save it as CSV in UTF-8",
        ),
        ("t.csv", "a,b\n1,ü\n".encode("latin-1"), "it is not UTF-8: byte 0xfc in line 2"),
        ("t.csv", b"a,b\n1,\0\n\0,2\n", "it is no text: 2 NUL bytes, the first in line 2"),
        ("t.csv", b"a,b, a,c,c\n1,2,3,4,5\n", "columns of one name: 'a', 'c'"),
        (
            "t.csv",
            b"a,b\n1\n1,2\n1,2,3\n1,2,3\n1\n",
            "4 rows have not the 2 cells of the header (row 2: 1, row 4: 3, row 5: 3, ...)",
        ),
        ("t.csv", b"a,b\n1,2,3\n4,5,6\n", "2 rows have not the 2 cells of the header"),
        ("t.csv", b"a,a\n1\n", "columns of one name: 'a'; 1 rows have not the 2 cells"),
        ("t\x1b[31m.csv", b"a\n", r"t\x1b[31m.csv cannot be read: it has no row"),
        ("t.parquet", b"no parquet", "t.parquet cannot be read"),
    ],
)
def test_files_that_are_no_table(
    tmp_path: Path, name: str, content: bytes | None, text: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert text in what_is_wrong(str(tmp_path / name), inputs=INPUTS, tasks=TASKS)


@pytest.mark.parametrize("split", [{"column": "part"}, {"column": "prat"}])
def test_a_column_that_is_not_there_hides_nothing_else(tmp_path: Path, split: Any) -> None:
    table = pd.read_csv(write_glyphs(tmp_path, 60), dtype=object)
    table.loc[3, "width"] = "wide"
    table.loc[4, "height"] = "tall"
    table.loc[6, "photo"] = "images/gone.png"
    table.to_csv(tmp_path / "glyphs.csv", index=False)
    measures = {"kind": "vector", "columns": ["width", "nope"]}
    inputs = {**INPUTS, "measures": measures, "other": {"kind": "text", "column": "nothing"}}
    told = what_is_wrong(str(tmp_path / "glyphs.csv"), inputs=inputs, tasks=TASKS, split=split)
    for text in ("column 'nope'", "column 'nothing'", "'wide'", "'tall'", "gone.png"):
        assert text in told
    assert ("'prat'" in told) == (split["column"] == "prat")
