"""Processes that are ended together with all that they have started."""

from __future__ import annotations

import os
import signal
from contextlib import suppress


def end_group(pid: int) -> None:
    """Kill the group that a process leads, itself included; it may have ended long ago."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def signal_name(number: int) -> str:
    """The name of a signal; real-time signals have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
