"""A call in a new Python process: nothing that ran before can touch what it measures."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.execution import child

# PyTorch's profiler tells of its own stages on stderr; errors are still shown.
_HUSHED = {"TORCH_CPP_LOG_LEVEL": "ERROR", "KINETO_LOG_LEVEL": "6"}

_INSIDE = "MTMM_BENCH_ISOLATED"


class ProcessDiedError(RuntimeError):
    """The process ended without an answer."""


def call_isolated(function: Callable[..., Any], *arguments: Any) -> Any:
    """`function(*arguments)` in a Python process of its own, started afresh, not forked.

    The process imports what the function needs and never the caller's main module, so that a
    script without `if __name__ == "__main__"` can call this too. Exceptions come back as they
    are; ProcessDiedError if the process ends without an answer.

    Raises RuntimeError inside such a process: code that runs a suite when it is imported would
    start one after the other without end.
    """
    if _INSIDE in os.environ:
        raise RuntimeError("a suite is run while a file is imported: move that out of the file")
    with tempfile.TemporaryDirectory(prefix="mtmm-bench-") as folder:
        request, answer = Path(folder, "request"), Path(folder, "answer")
        request.write_bytes(pickle.dumps(sys.path) + pickle.dumps((function, arguments)))
        environment = _HUSHED | dict(os.environ) | {_INSIDE: "1"}
        command = [sys.executable, child.__file__, str(request), str(answer)]
        code = _run(command, environment)
        if not answer.exists():
            raise ProcessDiedError(f"exit code {code}, no answer")
        returned, outcome = pickle.loads(answer.read_bytes())
    if not returned:
        raise outcome
    return outcome


def _run(command: list[str], environment: dict[str, str]) -> int:
    """Run it to its end; when this process ends before, its input closes and it ends as well."""
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE)
    try:
        return process.wait()
    finally:
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()
