from __future__ import annotations

import io

from rich.console import Console

from bench.progress import Progress


def shown(*, terminal: bool, quiet: bool = False) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=120)
    with Progress(console, quiet=quiet).stage("train", 2) as advance:
        advance("[red]a", "ok")
        advance("b", "diverged")
    return file.getvalue()


def test_plain_lines_where_there_is_no_terminal() -> None:
    assert shown(terminal=False) == "train 1/2: [red]a: ok\ntrain 2/2: b: diverged\n"


def test_a_bar_on_a_terminal() -> None:
    assert "2/2" in shown(terminal=True)
    assert "b: diverged" in shown(terminal=True)


def test_quiet_shows_nothing() -> None:
    assert shown(terminal=False, quiet=True) == ""
