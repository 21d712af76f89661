"""What a run shows while it runs: a bar on a terminal, a line in a notebook, else many lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from bench.lines import one_line


class Stage(Protocol):
    """One stage of a run: its units as they start and end, by their labels."""

    def started(self, label: str) -> None:
        """A unit has started."""

    def ended(self, label: str, told: str) -> None:
        """A unit has ended; `told` says how."""

    def note(self, text: str) -> None:
        """Something else worth knowing."""


class Progress:
    """Stages of a run, each with a number of units. `quiet` shows nothing."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self.console = console
        self.quiet = quiet

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Stage]:
        """Announce a stage of so many units."""
        if self.quiet or total == 0:
            yield _Silent()
        elif self.console.is_jupyter:
            yield _Output(name, total)
        elif self.console.is_terminal:
            with _bars(self.console) as bars:
                yield _Bar(bars, bars.add_task(name, total=total, told=""))
        else:
            yield _Lines(self.console, name, total)


class _Silent:
    def started(self, label: str) -> None:
        pass

    def ended(self, label: str, told: str) -> None:
        pass

    def note(self, text: str) -> None:
        pass


class _Lines:
    """A line for each unit that has ended."""

    def __init__(self, console: Console, name: str, total: int) -> None:
        self._console, self._name, self._total = console, name, total
        self._done = 0

    def started(self, label: str) -> None:
        pass

    def ended(self, label: str, told: str) -> None:
        self._done += 1
        self.note(f"{self._name} {self._done}/{self._total}: {label}: {told}")

    def note(self, text: str) -> None:
        self._console.print(one_line(text), markup=False, highlight=False, soft_wrap=True)


class _Output:
    """One line below the cell of a notebook, written anew; what fails stays above it."""

    def __init__(self, name: str, total: int) -> None:
        self._name, self._total, self._done = name, total, 0
        self._notes: list[str] = []
        self._display = import_module("IPython.display").display(
            {"text/plain": f"{name} 0/{total}"}, raw=True, display_id=True
        )

    def started(self, label: str) -> None:
        pass

    def ended(self, label: str, told: str) -> None:
        self._done += 1
        if _is_fine(told):
            self._show(f": {label}: {told}")
        else:
            self.note(f"{label}: {told}")

    def note(self, text: str) -> None:
        self._notes.append(text)
        self._show("")

    def _show(self, last: str) -> None:
        lines = [*self._notes, f"{self._name} {self._done}/{self._total}{last}"]
        self._display.update({"text/plain": "\n".join(map(one_line, lines))}, raw=True)


class _Bar:
    """A bar with what runs now; what fails is printed above it."""

    def __init__(self, bars: Bars, task: TaskID) -> None:
        self._bars, self._task = bars, task
        self._running: list[str] = []

    def started(self, label: str) -> None:
        self._running.append(label)
        self._bars.update(self._task, told=self._now(), refresh=True)

    def ended(self, label: str, told: str) -> None:
        if label in self._running:
            self._running.remove(label)
        if not _is_fine(told):
            self.note(f"{label}: {told}")
        self._bars.update(self._task, advance=1, told=self._now())

    def note(self, text: str) -> None:
        self._bars.console.print(one_line(text), markup=False, highlight=False)

    def _now(self) -> str:
        return one_line(", ".join(self._running))


def _is_fine(told: str) -> bool:
    return told.startswith(("score", "done", "trained", "pruned"))


def _bars(console: Console) -> Bars:
    return Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[told]}", markup=False),
        console=console,
    )
