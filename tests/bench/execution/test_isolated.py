from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from bench.execution.isolated import ProcessDiedError, ProcessHangsError, call_isolated


def test_the_call_runs_in_another_process() -> None:
    assert call_isolated(os.getpid) != os.getpid()


def test_an_exception_comes_back() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        call_isolated(int, "x")


def test_a_process_that_dies_is_told() -> None:
    with pytest.raises(ProcessDiedError, match="exit code 7"):
        call_isolated(os._exit, 7)


def test_a_new_process_starts_no_other() -> None:
    with pytest.raises(RuntimeError, match="a suite is run while a file is imported"):
        call_isolated(call_isolated, os.getpid)


def test_a_signal_is_told_by_its_name_if_it_has_one() -> None:
    with pytest.raises(ProcessDiedError, match="ended by SIGABRT"):
        call_isolated(os.abort)
    with pytest.raises(ProcessDiedError, match="ended by signal 40"):
        call_isolated(os.kill, 0, 40)


def test_a_program_that_ends_itself_without_a_fault_has_died() -> None:
    with pytest.raises(ProcessDiedError, match="exit code 0, no answer"):
        call_isolated(sys.exit, 0)


def test_a_process_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    started, log = time.monotonic(), tmp_path / "log"
    script = "import subprocess; print(subprocess.Popen(['sleep', '1000']).pid, flush=True)"
    with pytest.raises(ProcessHangsError, match="no sign of life for 1 s"):
        call_isolated(exec, f"{script}; __import__('time').sleep(1000)", log=log, silence_s=1)
    assert time.monotonic() - started < 30
    assert not alive(int(log.read_text()))


def test_a_sign_of_life_is_heard(tmp_path: Path) -> None:
    sign, done = tmp_path / "sign", threading.Event()

    def live() -> None:
        while not done.wait(0.2):
            sign.write_text(str(time.monotonic()))

    living = threading.Thread(target=live)
    living.start()
    try:
        call_isolated(time.sleep, 3, silence_s=1.5, sign=sign)
    finally:
        done.set()
        living.join()


def test_what_it_prints_is_added_to_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    call_isolated(print, "now", log=log)
    assert log.read_text() == "before\nnow\n"


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
