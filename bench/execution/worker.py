"""The process of one train cell."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import wait
from pathlib import Path

import torch

from bench.cell import TrainCell
from bench.errors import InputError
from bench.execution.unit import Record, run_cell
from bench.plugins import load_again
from bench.training import Watch
from mtmm.components import Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A cell, and what its process needs to run it."""

    cell: TrainCell
    device: str
    data: Path
    """Folder of the data sets that all processes of a run share."""
    checkpoint: Path
    kept: Path
    log: Path
    own: tuple[Registration, ...]
    watch: Watch | None = None
    """What may give the cell up; it is sent to the process."""

    @property
    def answer(self) -> Path:
        """The file of the record, once there is one."""
        return self.data / f"{self.cell.id}.answer"


def work(job: Job) -> None:
    """Train the cell and leave its record; what it prints is added to its log file."""
    os.setsid()  # it leads a group, which ends with it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this decides when it ends
    end_with_parent()
    _write_to(job.log)
    try:
        load_again(job.own)
    except InputError as error:
        record = failed(job.cell, "error", str(error))
    else:
        device = torch.device(job.device)
        record = run_cell(
            job.cell,
            device,
            data=job.data,
            checkpoint=job.checkpoint,
            kept=job.kept,
            watch=job.watch,
        )
    sys.stdout.flush()
    sys.stderr.flush()
    # A file, not a pipe: a process that is killed or stopped amid it harms and holds up nobody.
    partial = job.answer.with_suffix(".partial")
    partial.write_bytes(pickle.dumps(record))
    partial.replace(job.answer)


def failed(cell: TrainCell, status: str, reason: str) -> Record:
    """The record of a cell that came to nothing."""
    return {
        "kind": "train",
        "config": cell.config,
        "seed": cell.seed,
        "data": cell.fingerprint,
        "status": status,
        "reason": reason,
    }


def end_with_parent() -> None:
    """End this process and its group when the run that started it is gone, however it ended."""
    parent = parent_process()
    assert parent is not None

    def watch(sentinels: Sequence[int]) -> None:
        wait(sentinels)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, args=([parent.sentinel],), daemon=True).start()


def _write_to(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
