"""Locks between runs: one for each unit of work, and one of the machine for timing.

All of them are the operating system's: they end with the process that holds them, however it ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

LOCKS_VARIABLE = "MTMM_BENCH_LOCKS"
"""Names the folder of the machine's locks; all whose timings disturb each other need the same."""


class UnitLock:
    """The right to work on one unit of a results folder; its file says who has it."""

    def __init__(self, folder: Path, identity: str) -> None:
        self._path = folder / f"{identity}.lock"
        self._lock = FileLock(self._path, blocking=False)

    def acquire(self, label: str) -> bool:
        """Take the lock, unless another run has it; OSError where there can be none."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except Timeout:
            return False
        holder = {"label": label, "pid": os.getpid(), "host": socket.gethostname()}
        with suppress(OSError):  # on a full disk it is held all the same
            self._path.write_text(json.dumps(holder), encoding="utf-8")
        return True

    def release(self) -> None:
        """Give it back if it is ours; who waits looks for the record next: the file may go."""
        if not self._lock.is_locked:
            return
        self._path.unlink(missing_ok=True)
        self._lock.release()


def held_units(folder: Path) -> dict[str, Mapping[str, Any]]:
    """The units that some run works on now, by identity, and who it is."""
    held = {}
    for path in sorted(folder.glob("*.lock")):
        lock = FileLock(path, blocking=False)
        try:
            lock.acquire()
        except Timeout:
            held[path.stem] = _holder(path)
        else:
            lock.release()
    return held


def _holder(path: Path) -> Mapping[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


class Machine:
    """Training and timing of all runs on this machine, kept apart.

    Cells of any number of runs train at once. A run that times waits until they have ended; while
    it waits and times no other run starts a cell.
    """

    def __init__(self, folder: Path | None = None) -> None:
        # Not TMPDIR: users and jobs have their own, and would not see each other.
        folder = folder or Path(os.environ.get(LOCKS_VARIABLE) or "/tmp")
        self._gate, self._busy = (folder / f"mtmm-bench.{name}" for name in ("gate", "busy"))

    @contextmanager
    def training(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Held by a run as long as one of its cells trains; `waiting` is called if it has to."""
        with _locked(self._gate, fcntl.LOCK_SH, waiting):
            busy = _open(self._busy)
            fcntl.flock(busy, fcntl.LOCK_SH)
        try:
            yield
        finally:
            os.close(busy)

    @contextmanager
    def timing(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Held by a run while it times; `waiting` is called if others train or time now."""
        told = _once(waiting)
        with (
            _locked(self._gate, fcntl.LOCK_EX, told),
            _locked(self._busy, fcntl.LOCK_EX, told),
        ):
            yield

    def timing_is_wanted(self) -> bool:
        """Whether another run times or waits for that: no cell is to be started now."""
        gate = _open(self._gate)
        try:
            fcntl.flock(gate, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(gate)
        return False


@contextmanager
def _locked(path: Path, kind: int, waiting: Callable[[], None]) -> Iterator[None]:
    file = _open(path)
    try:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, kind)
        yield
    finally:
        os.close(file)


def _once(function: Callable[[], None]) -> Callable[[], None]:
    called = False

    def call() -> None:
        nonlocal called
        if not called:
            called = True
            function()

    return call


def _open(path: Path) -> int:
    # Everyone's: users of one machine disturb each other as well.
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        os.fchmod(file, 0o666)
        return file
