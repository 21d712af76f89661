"""What a run shows while it runs: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

Advance = Callable[[str, str], None]


class Progress:
    """Stages of a run, each with a number of units. `quiet` shows nothing."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self.console = console
        self.quiet = quiet

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Advance]:
        """Announce a stage; call what is given with each unit's label and how it ended."""
        if self.quiet or total == 0:
            yield lambda label, told: None
        elif self.console.is_terminal:
            with self._bars() as bars:
                task = bars.add_task(name, total=total, told="")
                yield lambda label, told: bars.update(task, advance=1, told=f"{label}: {told}")
        else:
            yield self._lines(name, total)

    def _bars(self) -> Bars:
        return Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[told]}", markup=False),
            console=self.console,
        )

    def _lines(self, name: str, total: int) -> Advance:
        done = 0

        def advance(label: str, told: str) -> None:
            nonlocal done
            done += 1
            self.console.print(
                f"{name} {done}/{total}: {label}: {told}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )

        return advance
