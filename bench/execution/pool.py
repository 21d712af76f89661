"""Train cells side by side, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from types import ModuleType
from typing import Any

from bench.execution.groups import end_group, signal_name
from bench.execution.unit import Record
from bench.execution.worker import Job, failed, work

_GRACE_S = 3.0  # for a process that has left its record to end by itself
_PRELOAD = "bench.execution.preload"


@dataclass(slots=True)
class _Running:
    job: Job
    process: Any
    started: float


class Pool:
    """Processes forked from a server that has imported PyTorch: isolation for some 25 ms a cell.

    A process that raises, exits, is killed, hangs or runs out of memory is a record with the
    reason, and nothing to the others. What it has started ends with it. `timeout_s` bounds the time
    of one cell.
    """

    def __init__(self, *, timeout_s: float | None = None) -> None:
        self._timeout_s = timeout_s
        self._running: list[_Running] = []
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([_PRELOAD])

    def __len__(self) -> int:
        return len(self._running)

    def start(self, job: Job) -> None:
        """Start a process for the cell."""
        process = self._context.Process(target=work, args=(job,))
        with _main_module_left_alone(), _server_finds_our_modules():
            process.start()
        self._running.append(_Running(job, process, time.monotonic()))

    def finished(self, wait_s: float) -> Iterator[tuple[Job, Record]]:
        """The cells that end within `wait_s` seconds; it returns with the first of them."""
        wait([one.process.sentinel for one in self._running], self._wait_s(wait_s))
        for one in list(self._running):
            record = self._outcome(one)
            if record is not None:
                self._running.remove(one)
                _end(one.process)
                one.job.answer.unlink(missing_ok=True)
                yield one.job, record

    def stop(self) -> None:
        """End every process; what they were at is lost, apart from checkpoints."""
        for one in self._running:
            end_group(one.process.pid)
        for one in self._running:
            _end(one.process)
        self._running.clear()

    def _wait_s(self, wait_s: float) -> float:
        if self._timeout_s is None or not self._running:
            return wait_s
        first = min(one.started for one in self._running) + self._timeout_s
        return max(0.0, min(wait_s, first - time.monotonic()))

    def _outcome(self, one: _Running) -> Record | None:
        ended = not one.process.is_alive()
        if one.job.answer.exists():
            one.process.join(_GRACE_S)
            return _read(one.job)
        if ended:
            return failed(one.job.cell, "error", _how_it_ended(one.process.exitcode))
        if self._timeout_s is not None and time.monotonic() - one.started > self._timeout_s:
            return failed(one.job.cell, "timeout", f"it ran longer than {self._timeout_s:g} s")
        return None


def _read(job: Job) -> Record:
    try:
        record: Record = pickle.loads(job.answer.read_bytes())
    except Exception as error:  # of a component's own, which this process may not know
        text = f"its record cannot be read: {type(error).__name__}: {error}"
        return failed(job.cell, "error", text)
    return record


def _end(process: Any) -> None:
    """End the process, and what it has started and left behind."""
    end_group(process.pid)
    process.kill()  # where it leads no group yet
    process.join(_GRACE_S)
    if not process.is_alive():  # the system may hold it, in a driver for one
        process.close()


def _how_it_ended(exit_code: int) -> str:
    if exit_code >= 0:
        return f"its process ended with exit code {exit_code} and no result"
    name = signal_name(-exit_code)
    hint = "; a system that runs out of memory does that" if name == "SIGKILL" else ""
    return f"its process was ended by {name}{hint}"


@contextmanager
def _server_finds_our_modules() -> Iterator[None]:
    """The server, which the first start starts, has our import path (Python 3.11 drops it)."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


@contextmanager
def _main_module_left_alone() -> Iterator[None]:
    """A new process does not import the script that runs: it may have no main guard."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
