"""A call in a new Python process: nothing that ran before can touch what it measures."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def call_isolated(function: Callable[..., Any], *arguments: Any) -> Any:
    """`function(*arguments)` in a process of its own, started afresh, not forked.

    Exceptions come back as they are; a process that dies raises BrokenProcessPool.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()
