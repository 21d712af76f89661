"""More processes that work on the trials of a search."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bench.execution.groups import end_group
from bench.execution.worker import end_with_parent


@contextmanager
def helped(
    work: Callable[..., None], calls: Sequence[tuple[Any, ...]], note: Callable[[str], None]
) -> Iterator[None]:
    """Let a new process for each of `calls` call `work` with it meanwhile, and wait for them.

    Where this process is interrupted they end, and what each was at is free for others. One that
    fails is told of; the others do its work.
    """
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_help, args=(work, call)) for call in calls]
    try:
        for process in processes:
            process.start()
        yield
        for process in processes:
            process.join()
            if process.exitcode:
                note(f"another process of this search ended with exit code {process.exitcode}")
    finally:
        for process in processes:
            if process.pid is not None:
                end_group(process.pid)
                process.kill()  # where it leads no group yet
                process.join()


def _help(work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    os.setsid()  # it leads a group, which ends with it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this decides when it ends
    end_with_parent()
    work(*arguments)
