from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from bench.execution.locks import Machine, UnitLock, held_units


def quiet() -> None:
    """Nobody is told of a wait."""


CONTEXT = multiprocessing.get_context("spawn")


def hold_unit(folder: Path, answer: Connection) -> None:
    lock = UnitLock(folder, "a1")
    answer.send(lock.acquire("elsewhere"))
    time.sleep(60)


def hold_machine(folder: Path, kind: str, answer: Connection) -> None:
    machine = Machine(folder)
    with machine.training(quiet) if kind == "training" else machine.timing(quiet):
        answer.send(True)
        time.sleep(60)


def elsewhere(function: Callable[..., None], *arguments: Any) -> Any:
    """A process that holds a lock."""
    receive, send = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=function, args=(*arguments, send), daemon=True)
    process.start()
    assert receive.recv() is True
    return process


def kill(process: Any) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def test_a_unit_is_worked_on_by_one_and_a_dead_process_gives_it_up(tmp_path: Path) -> None:
    process = elsewhere(hold_unit, tmp_path)
    lock = UnitLock(tmp_path, "a1")
    assert not lock.acquire("here")
    assert held_units(tmp_path)["a1"]["pid"] == process.pid
    assert held_units(tmp_path)["a1"]["label"] == "elsewhere"
    kill(process)
    assert held_units(tmp_path) == {}
    assert lock.acquire("here")
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_no_cell_starts_while_another_run_times(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert not machine.timing_is_wanted()
    process = elsewhere(hold_machine, tmp_path, "timing")
    assert machine.timing_is_wanted()
    entered = threading.Event()

    def train() -> None:
        with machine.training(quiet):
            entered.set()

    waiting = threading.Thread(target=train, daemon=True)
    waiting.start()
    assert not entered.wait(0.3)
    kill(process)
    assert entered.wait(10)
    assert not machine.timing_is_wanted()


def test_timing_waits_for_the_cells_of_others_and_is_known_to_wait(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    process = elsewhere(hold_machine, tmp_path, "training")
    with machine.training(quiet):  # any number of runs train at once
        pass
    entered = threading.Event()

    def measure() -> None:
        with machine.timing(quiet):
            entered.set()

    waiting = threading.Thread(target=measure, daemon=True)
    waiting.start()
    assert not entered.wait(0.5)
    assert Machine(tmp_path).timing_is_wanted()
    kill(process)
    assert entered.wait(10)


def test_the_machines_locks_are_where_a_variable_says_and_not_in_ones_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "mine"))
    monkeypatch.setenv("MTMM_BENCH_LOCKS", str(tmp_path))
    with Machine().timing(quiet):
        assert Machine(tmp_path).timing_is_wanted()
    monkeypatch.delenv("MTMM_BENCH_LOCKS")
    assert Machine()._gate.parent == Path("/tmp")


def test_a_lock_of_another_is_not_given_back(tmp_path: Path) -> None:
    mine, other = UnitLock(tmp_path, "a1"), UnitLock(tmp_path, "a1")
    assert mine.acquire("mine")
    assert not other.acquire("other")
    other.release()
    assert not other.acquire("other")
    mine.release()


def test_a_lock_is_held_though_its_holder_cannot_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    lock = UnitLock(tmp_path, "a1")
    assert lock.acquire("me")
    assert not UnitLock(tmp_path, "a1").acquire("other")
    lock.release()


def test_a_wait_is_told_once(tmp_path: Path) -> None:
    process = elsewhere(hold_machine, tmp_path, "training")
    told: list[str] = []

    def waiting() -> None:
        told.append("waiting")
        kill(process)

    with Machine(tmp_path).timing(waiting):
        assert told == ["waiting"]
