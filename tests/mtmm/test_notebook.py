"""What a component of a notebook runs through changes its hash, whichever cell it stands in."""

from __future__ import annotations

import importlib
import linecache
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mtmm.components import registration, restore, snapshot
from mtmm.notebook import notebook_hash

Notebook = Callable[..., str]
"""Runs cells one after another in one namespace; the hash of `Mine` after them."""

CELLS = """
import math
from dataclasses import dataclass
import torch
from mtmm.fusion.sum import Sum

GAIN = 2.0
SIZES = (1, 2)
losses = []
unrelated = 1
calls = 0

@dataclass
class Config:
    depth: int = 3

def inner(x):
    return math.sqrt(2) * x

def outer(x):
    return inner(x)

act = lambda x: x.relu()

class Base(Sum):
    def scale(self):
        return GAIN
"""

MINE = """
class Mine(Base):
    def forward(self, features, present=None):
        global calls
        calls += 1
        unrelated = Config().depth
        losses.append(unrelated)
        return act(outer(self.scale() * SIZES[0] * super().forward(features, present)))
"""


@pytest.fixture(autouse=True)
def _unregistered_after() -> Iterator[None]:
    before = snapshot()
    yield
    restore(before)


@pytest.fixture
def notebook() -> Notebook:
    names: dict[str, Any] = {"__name__": "__main__"}
    numbers = count()

    def run(*cells: str) -> str:
        for text in cells:
            file = f"<cell {next(numbers)} of {id(names)}>"
            linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
            exec(compile(text, file, "exec"), names)
        return notebook_hash(names["Mine"])

    return run


@pytest.mark.parametrize(
    "cell",
    [
        "GAIN = 3.0",
        "SIZES = (1, 3)",
        "def inner(x):\n    return x\n",
        "def outer(x):\n    return 2 * inner(x)\n",
        "act = lambda x: x.tanh()",
        "@dataclass\nclass Config:\n    depth: int = 4\n",
        MINE.replace("SIZES[0]", "SIZES[1]"),
        CELLS[CELLS.index("class Base") :].replace("GAIN", "GAIN + 1") + MINE,
        "from mtmm.fusion.mean import Mean as Sum\n" + CELLS[CELLS.index("class Base") :] + MINE,
    ],
)
def test_what_changes_a_number_changes_the_hash(notebook: Notebook, cell: str) -> None:
    before = notebook(CELLS, MINE)
    assert notebook(cell) != before


@pytest.mark.parametrize(
    "cell",
    [
        "unrelated = 5",
        "losses = [1.0]",
        "calls = 7",
        "depth = scale = forward = 1",
        "# moved\n\n" + MINE + "\n# more",
        'def inner(x):\n    """Says something."""\n    return math.sqrt(2) * x  # two\n',
        CELLS + MINE,
    ],
)
def test_what_changes_none_does_not(notebook: Notebook, cell: str) -> None:
    before = notebook(CELLS, MINE)
    assert notebook(cell) == before


def test_a_module_of_ones_own_counts_as_it_was_loaded(
    notebook: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    file = tmp_path / "layers_of_mine.py"
    file.write_text("def double(x):\n    return 2 * x\n", encoding="utf-8")
    mine = MINE.replace("act(", "layers_of_mine.double(")
    before = notebook(CELLS, "import layers_of_mine", mine)
    file.write_text("def double(x):\n    return x + x\n", encoding="utf-8")
    assert notebook() == before
    importlib.reload(sys.modules["layers_of_mine"])
    assert notebook() != before


def test_a_class_whose_source_is_lost_has_no_hash() -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec("class Mine:\n    def f(self): ...\n", names)
    with pytest.raises(OSError, match="no source of"):
        notebook_hash(names["Mine"])


def test_a_class_without_methods_is_what_it_sets_and_its_bases(notebook: Notebook) -> None:
    before = notebook(CELLS, "class Mine(Base):\n    max_modalities = 2\n")
    assert notebook("class Mine(Base):\n    max_modalities = 3\n") != before
    assert notebook("class Mine(Base):\n    max_modalities = 2\n") == before
    changed = CELLS[CELLS.index("class Base") :].replace("GAIN", "GAIN + 1")
    assert notebook(changed, "class Mine(Base):\n    max_modalities = 2\n") != before


def test_data_sets(notebook: Notebook) -> None:
    notebook(
        CELLS,
        MINE,
        "from mtmm import register\nfrom mtmm.data.base import Dataset\n",
        "def build():\n    return GAIN, Dataset\n",
        'register("dataset", "mine")(Dataset(build, lambda: None))\n',
    )
    before = registration("dataset", "mine")
    notebook("GAIN = 4.0")
    assert registration("dataset", "mine") != before


def test_another_cell_changes_what_is_registered(notebook: Notebook) -> None:
    notebook(CELLS, "from mtmm import register", '@register("fusion", "mine")' + MINE)
    before = registration("fusion", "mine")
    assert before == registration("fusion", "mine")
    notebook("GAIN = 5.0")
    assert before != registration("fusion", "mine")
