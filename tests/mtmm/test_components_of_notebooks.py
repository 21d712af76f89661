from __future__ import annotations

import inspect
import linecache
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mtmm.components import (
    RegistrationError,
    registered,
    restore,
    snapshot,
)
from mtmm.fusion import FUSIONS
from mtmm.fusion.sum import Sum
from mtmm.source import combine, object_source, tree_hash
from mtmm.spec import DataBundle, Description


@pytest.fixture(autouse=True)
def _unregistered_after() -> Iterator[None]:
    before = snapshot()
    yield
    restore(before)


def describe(*, size: int = 1) -> Description:
    raise NotImplementedError


def build(*, size: int = 1) -> DataBundle:
    raise NotImplementedError


PLUGIN = """
from mtmm import register
from mtmm.fusion.sum import Sum

@register("fusion", "mine")
class Mine(Sum):
    def forward(self, features, present=None):
        return {factor} * super().forward(features, present)
"""


def cell(text: str, number: int = 1, *, known: bool = True) -> dict[str, Any]:
    """Run a cell of a notebook: there is no file, but Python knows the lines."""
    file = f"<cell {number}>"
    if known:
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, file, "exec"), names)
    return names


def test_a_class_of_a_notebook_is_hashed_alone() -> None:
    hashes: dict[str, str] = {}
    for name, text in {
        "plain": PLUGIN.format(factor=2),
        "moved": "x = 1\n" + PLUGIN.format(factor=2) + "\n# more\nprint()\n",
        "other": PLUGIN.format(factor=3),
    }.items():
        cell(text, number=len(hashes))
        (told,) = registered()
        assert (told.module, told.file) == ("__main__", None)
        hashes[name] = told.source
    assert hashes["plain"] == hashes["moved"] != hashes["other"]


def test_of_two_classes_of_one_name_in_a_cell_the_right_one_is_hashed() -> None:
    one, two = (f"class A:\n    def f(self):\n        return {x}\n" for x in (1, 2))
    names = cell(f"{one}\nfirst = A\n\n{two}\n")
    assert object_source(names["first"]) == one.strip()
    assert object_source(names["A"]) == two.strip()


def test_a_class_without_source_is_refused() -> None:
    with pytest.raises(RegistrationError, match="put it into a file"):
        cell(PLUGIN.format(factor=2), number=99, known=False)
    assert "mine" not in FUSIONS


def test_what_a_notebook_imports_from_a_file_is_hashed_with_its_file() -> None:
    cell(
        "from mtmm import register\nfrom mtmm.fusion.sum import Sum\n"
        'register("fusion", "mine")(Sum)\n'
    )
    (told,) = registered()
    assert told.file is None
    assert told.source == combine([tree_hash(Path(inspect.getfile(Sum)), "mtmm.fusion")])


def test_data_sets_of_a_notebook() -> None:
    text = (
        "from mtmm import register\nfrom mtmm.data.base import Dataset\n"
        "def build(*, n: int = {n}):\n    pass\n"
        "def describe(*, n: int = {n}):\n    return {n}\n"
        'register("dataset", "mine")(Dataset(build, describe))\n'
    )
    sources = []
    for n in (1, 2):
        cell(text.format(n=n), number=n)
        sources.append(registered()[0].source)
    assert sources[0] != sources[1]
