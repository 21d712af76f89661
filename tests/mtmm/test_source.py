from __future__ import annotations

from pathlib import Path

import pytest

from mtmm.source import combine, file_hash, text_hash

CODE = '''
"""A module."""

LIMIT = 3
"""An attribute."""

class A:
    """A class."""

    def f(self, x):
        """A function."""
        return x + 1
'''


@pytest.mark.parametrize(
    "same",
    [
        CODE + "\n# a comment\n",
        CODE.replace("A module.", "Something else."),
        CODE.replace("An attribute.", "Something else."),
        CODE.replace("A function.", "Something else."),
        CODE.replace('"""A module."""', ""),
        CODE.replace('"""An attribute."""', ""),
        CODE.replace('"""A class."""', ""),
        CODE.replace('"""A function."""', ""),
        CODE.replace("x + 1", "(x\n            + 1)"),
        CODE.replace("LIMIT = 3", "LIMIT  =  3  # three"),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(same: str) -> None:
    assert same != CODE
    assert text_hash(same) == text_hash(CODE)


@pytest.mark.parametrize(
    "other",
    [
        CODE.replace("x + 1", "x + 2"),
        CODE.replace("x + 1", "x - 1"),
        CODE.replace("LIMIT", "BOUND"),
        CODE.replace("return x + 1", "return 'A function.'"),
        CODE + "\nA.f = None\n",
    ],
)
def test_code_counts(other: str) -> None:
    assert text_hash(other) != text_hash(CODE)


def test_strings_that_are_values_count() -> None:
    assert text_hash("f('a')") != text_hash("f('b')")
    assert text_hash("def f():\n  return 'a'") != text_hash("def f():\n  return 'b'")


def test_a_file_hashes_as_its_text(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(CODE + "\nname = 'Δ'\n", encoding="utf-8")
    assert file_hash(file) == file_hash(str(file)) == text_hash(CODE + "\nname = 'Δ'\n")


def test_combined_hashes_depend_on_each_and_on_their_order() -> None:
    a, b = text_hash("a"), text_hash("b")
    made = [combine([a, b]), combine([b, a]), combine([a]), combine([]), combine(iter([a, a]))]
    assert len(set(made)) == len(made)
    assert combine(iter([a, b])) == combine([a, b])
