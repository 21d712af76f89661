"""How many cores this process may keep busy."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def cores(cgroups: Path = _CGROUPS) -> int:
    """The cores it may run on, or fewer where a container bounds their time; at least 1."""
    allowed = len(os.sched_getaffinity(0))
    quota = _quota(cgroups)
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def _quota(cgroups: Path) -> float | None:
    """Time in cores, by version 2 or 1 of control groups; None where nothing bounds it."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            words = " ".join((cgroups / name).read_text(encoding="ascii") for name in files).split()
            limit, period = (float(word) for word in words)
        except (OSError, ValueError):  # not there, or the word "max"
            continue
        if limit > 0 and period > 0:
            return limit / period
    return None
