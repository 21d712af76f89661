from __future__ import annotations

import io
import sys
from types import ModuleType
from typing import Any

import pytest
from rich.console import Console

from bench.progress import Progress


def shown(*, terminal: bool, quiet: bool = False) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=120)
    with Progress(console, quiet=quiet).stage("train", 2) as stage:
        stage.started("[red]a")
        stage.started("b")
        stage.ended("[red]a", "score 50.0 % in 0.1 s")
        stage.note("waiting")
        stage.ended("b", "diverged: a loss was not finite")
    return file.getvalue()


def test_plain_lines_where_there_is_no_terminal() -> None:
    assert shown(terminal=False) == (
        "train 1/2: [red]a: score 50.0 % in 0.1 s\n"
        "waiting\n"
        "train 2/2: b: diverged: a loss was not finite\n"
    )


def test_a_bar_with_what_runs_and_failures_on_a_terminal() -> None:
    text = shown(terminal=True)
    assert "2/2" in text
    assert "[red]a, b" in text
    assert "b: diverged: a loss was not finite" in text
    assert "score 50.0" not in text


def test_quiet_shows_nothing() -> None:
    assert shown(terminal=False, quiet=True) == ""


def test_what_is_told_stays_on_its_line() -> None:
    file = io.StringIO()
    with Progress(Console(file=file, width=120)).stage("train", 1) as stage:
        stage.ended("a", "error: no\n\x1b[31mred")
    assert file.getvalue() == "train 1/1: a: error: no [31mred\n"


def test_one_line_and_what_failed_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Display:
        def update(self, data: dict[str, str], *, raw: bool) -> None:
            assert raw
            shown.append(data["text/plain"])

    def display(data: dict[str, str], **how: Any) -> Display:
        assert how == {"raw": True, "display_id": True}
        shown.append(data["text/plain"])
        return Display()

    notebook = ModuleType("IPython.display")
    vars(notebook)["display"] = display
    monkeypatch.setitem(sys.modules, "IPython.display", notebook)
    with Progress(Console(force_jupyter=True)).stage("train", 3) as stage:
        stage.started("a")
        stage.ended("a", "diverged: a loss\nwas not finite")
        stage.note("waiting")
        stage.ended("b", "score 50.0 % in 0.1 s")
        stage.ended("c", "score 60.0 % in 0.1 s")
    assert shown[0] == "train 0/3"
    assert shown[-1].splitlines() == [
        "a: diverged: a loss was not finite",
        "waiting",
        "train 3/3: c: score 60.0 % in 0.1 s",
    ]
