"""A call in a new Python process: nothing that ran before can touch what it measures."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from select import select
from typing import Any

from bench.execution import child
from bench.execution.groups import end_group, signal_name

# PyTorch's profiler tells of its own stages on stderr; errors are still shown.
_HUSHED = {"TORCH_CPP_LOG_LEVEL": "ERROR", "KINETO_LOG_LEVEL": "6"}

_INSIDE = "MTMM_BENCH_ISOLATED"
_POLL_S = 1.0


class ProcessDiedError(RuntimeError):
    """The process ended without an answer."""


class ProcessHangsError(RuntimeError):
    """The process was ended, as it gave no sign of life for too long."""


def call_isolated(
    function: Callable[..., Any],
    *arguments: Any,
    folder: Path | None = None,
    log: Path | None = None,
    silence_s: float = float("inf"),
    sign: Path | None = None,
) -> Any:
    """`function(*arguments)` in a Python process of its own, started afresh, not forked.

    The process imports what the function needs and never the caller's main module, so that a
    script without `if __name__ == "__main__"` can call this too. Exceptions come back as they
    are; ProcessDiedError if the process ends without an answer. Whatever it has started ends with
    it. What is handed over is put in `folder`; what the process prints is added to `log`.

    After `silence_s` seconds the process is ended with a ProcessHangsError; they begin anew
    whenever the file `sign` is written.

    Raises RuntimeError inside such a process: code that runs a suite when it is imported would
    start one after the other without end.
    """
    if _INSIDE in os.environ:
        raise RuntimeError("a suite is run while a file is imported: move that out of the file")
    with tempfile.TemporaryDirectory(prefix="mtmm-bench-", dir=folder) as place:
        request, answer = Path(place, "request"), Path(place, "answer")
        request.write_bytes(pickle.dumps(sys.path) + pickle.dumps((function, arguments)))
        environment = _HUSHED | dict(os.environ) | {_INSIDE: "1"}
        command = [sys.executable, child.__file__, str(request), str(answer)]
        code = _run(command, environment, log, silence_s, sign)
        if not answer.exists():
            raise ProcessDiedError(_how_it_ended(code))
        try:
            returned, outcome = pickle.loads(answer.read_bytes())
        except Exception as error:
            raise ProcessDiedError(f"its answer cannot be read: {error}") from None
    if not returned:
        raise outcome
    return outcome


def _run(
    command: list[str],
    environment: dict[str, str],
    log: Path | None,
    silence_s: float,
    sign: Path | None,
) -> int:
    """Run it to its end; when this process ends before, its input closes and it ends as well."""
    output = None if log is None else log.open("ab")
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    try:
        if output is not None:
            output.close()
        return _ended(process, silence_s, sign)
    finally:
        end_group(process.pid)
        process.wait()
        assert process.stdin is not None
        process.stdin.close()


def _ended(process: subprocess.Popen[bytes], silence_s: float, sign: Path | None) -> int:
    # Not `process.wait(timeout)`, which looks twenty times a second: this may be timed.
    ends = os.pidfd_open(process.pid)
    try:
        heard, last = time.monotonic(), _stamp(sign)
        while not select([ends], [], [], min(_POLL_S, silence_s))[0]:
            now = _stamp(sign)
            if now != last:
                heard, last = time.monotonic(), now
            elif time.monotonic() - heard > silence_s:
                raise ProcessHangsError(f"no sign of life for {silence_s:g} s")
        return process.wait()
    finally:
        os.close(ends)


def _stamp(sign: Path | None) -> int:
    try:
        return 0 if sign is None else sign.stat().st_mtime_ns
    except OSError:
        return 0


def _how_it_ended(code: int) -> str:
    return f"exit code {code}, no answer" if code >= 0 else f"ended by {signal_name(-code)}"
