"""Train cells in this process, one by one: for a debugger, and for what a notebook defines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from bench.execution.unit import run_cell
from bench.execution.worker import Job

Record = dict[str, Any]


class Inline:
    """What `Pool` is, with one cell at a time and nothing between it and the run: no time limit."""

    def __init__(self) -> None:
        self._waiting: list[Job] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def start(self, job: Job) -> None:
        """Accept the cell; it is run when `finished` is asked for."""
        self._waiting.append(job)

    def finished(self, wait_s: float) -> Iterator[tuple[Job, Record]]:
        """The cell, once it is done, however long that takes."""
        while self._waiting:
            job = self._waiting[0]
            record = run_cell(
                job.cell,
                torch.device(job.device),
                checkpoint=job.checkpoint,
                kept=job.kept,
                watch=job.watch,
            )
            self._waiting.pop(0)
            yield job, record

    def stop(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
