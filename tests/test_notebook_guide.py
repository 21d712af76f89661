"""docs/notebook.md, cell after cell in one namespace, as a notebook runs it."""

from __future__ import annotations

import importlib.util
import linecache
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
from torch import nn

import bench
from mtmm.components import restore, snapshot

TEXT = (Path(__file__).parent.parent / "docs" / "notebook.md").read_text(encoding="utf-8")
CELLS = re.findall(r"^```python\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)
RESULTS = Path("results/notebook")


@pytest.fixture(autouse=True)
def _as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    before = snapshot()
    yield
    restore(before)
    plt.close("all")


class Notebook:
    """Runs cells; Python knows their lines, but there is no file."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self._left = list(CELLS)

    def run(self, text: str) -> None:
        file = f"<cell {len(self._left)} of {id(self)}: {hash(text)}>"
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        exec(compile(text, file, "exec"), self.names)

    def run_to(self, line: str) -> None:
        """Run the cells shown up to the next one that has this line in it."""
        while self._left:
            cell = self._left.pop(0)
            self.run(cell)
            if line in cell:
                return
        raise AssertionError(f"no cell has {line}")


def records() -> set[str]:
    return {path.name for path in Path("results/cells").glob("*.json")}


def test_the_guide_to_notebooks() -> None:
    notebook = Notebook()
    notebook.run_to("bench.plan(suite)")
    shown = repr(bench.plan(notebook.names["suite"]))
    assert f"`{shown}`" in TEXT
    assert not records()

    notebook.run_to("bench.run(suite)")
    assert len(records()) == 4
    notebook.run_to("read_csv")
    assert list(notebook.names["told"]["verdict"]) == ["baseline", "not distinguishable"]
    notebook.run_to("means.plot")
    assert notebook.names["means"].shape == (4, 2)
    assert len(notebook.names["axes"].lines) == 2

    notebook.run_to("workers=0")
    first = records()
    frame = notebook.names["frame"]
    assert set(frame["status"]) == {"ok"}
    assert (len(first), len(frame), frame["variant"].nunique()) == (8, 8, 4)

    notebook.run_to("SLOPE = 0.3")
    second, changed = records(), notebook.names["frame"]
    assert len(second - first) == 4
    same = (frame["test.score"] == changed["test.score"]).groupby(frame["variant"]).all()
    assert {name for name in same.index if not same[name]} == {
        name for name in same.index if name.startswith("squashed")
    }
    notebook.run("SLOPE = 0.1\nframe = bench.run(suite, workers=0)\n")
    assert records() == second
    assert (notebook.names["frame"]["test.score"] == frame["test.score"]).all()

    notebook.run_to("bench.load_predictions")
    assert isinstance(notebook.names["model"], nn.Module)
    assert len(notebook.names["said"]) == len(notebook.names["logits"]) > 0
    assert (RESULTS / "report.html").exists()
    if importlib.util.find_spec("IPython"):
        notebook.run_to("IFrame(")
