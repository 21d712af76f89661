from __future__ import annotations

import os

import pytest

from bench.execution.isolated import ProcessDiedError, call_isolated


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
