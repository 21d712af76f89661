"""A call in a new Python process: nothing that ran before can touch what it measures."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def call_isolated(function: Callable[..., Any], *arguments: Any) -> Any:
    """`function(*arguments)` in a process of its own, started afresh, not forked.

    Exceptions come back as they are; a process that dies raises BrokenProcessPool.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_hush) as pool:
        return pool.submit(function, *arguments).result()


def _hush() -> None:
    # PyTorch's profiler tells of its own stages on stderr; errors are still shown. It reads these
    # when it is imported, which here is later.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")
