"""Which parts of a step hold its memory when most is held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bench.profiling.joining import joined
from bench.profiling.parts import UNATTRIBUTED, belongings
from bench.profiling.trace import HOST, Trace

_MIB = 2**20
CPU, CUDA = 0, 1
"""Types of devices, as PyTorch numbers them."""


class Change(NamedTuple):
    """Bytes that were taken (or, below 0, given back) at an address, in µs of the trace."""

    ts: float
    pid: int | str
    tid: int | str
    bytes: int
    address: int


def changes(trace: Trace, device: int) -> list[Change]:
    """What the allocators of a type of device did, in order; `profile_memory` writes it."""
    found = [one for one in trace.memory if one["args"].get("Device Type") == device]
    made = [
        Change(
            float(one["ts"]),
            one.get("pid", 0),
            one.get("tid", 0),
            int(one["args"].get("Bytes", 0)),
            int(one["args"].get("Addr", 0)),
        )
        for one in found
    ]
    return sorted(made, key=lambda change: change.ts)


def memory_by_part(trace: Trace, device: int) -> list[dict[str, Any]]:
    """Rows `part, direction, peak_mib, allocated_mib` of the trace's last step, most held first.

    `allocated_mib` is all that a part took in the step, `peak_mib` what of it was held at the
    moment when most was: the sum over parts is how far the step's memory rose. What is taken in the
    forward pass is held for the backward pass. Empty where the trace tells nothing of memory.
    """
    step = trace.steps[-1]
    inside = [c for c in changes(trace, device) if step.start <= c.ts < step.end]
    if not inside:
        return []
    owners = _owners(trace, inside)
    held: dict[int, tuple[int, tuple[str, str]]] = {}
    allocated: dict[tuple[str, str], int] = {}
    total, most, at_most = 0, 0, dict[tuple[str, str], int]()
    for change, owner in zip(inside, owners, strict=True):
        if change.bytes > 0:
            held[change.address] = change.bytes, owner
            allocated[owner] = allocated.get(owner, 0) + change.bytes
            total += change.bytes
        elif change.address in held:  # what was taken before the step is no part of its rise
            total -= held.pop(change.address)[0]
        if total > most:
            most, at_most = total, _summed(held)
    return sorted(
        (
            {
                "part": part,
                "direction": direction,
                "peak_mib": at_most.get((part, direction), 0) / _MIB,
                "allocated_mib": taken / _MIB,
            }
            for (part, direction), taken in allocated.items()
        ),
        key=lambda row: -float(row["peak_mib"]),
    )


def _summed(held: Mapping[int, tuple[int, tuple[str, str]]]) -> dict[tuple[str, str], int]:
    sums: dict[tuple[str, str], int] = {}
    for size, owner in held.values():
        sums[owner] = sums.get(owner, 0) + size
    return sums


def _owners(trace: Trace, moments: Sequence[Change]) -> list[tuple[str, str]]:
    """Part and direction of the innermost event around each moment on its thread."""
    found = belongings(trace, joined(trace))
    by_thread: dict[Any, list[int]] = {}
    for i, event in enumerate(trace.events):
        if event.category in HOST:
            by_thread.setdefault((event.pid, event.tid), []).append(i)
    starts = {k: np.array([trace.events[i].ts for i in of]) for k, of in by_thread.items()}
    owners = []
    for moment in moments:
        key = moment.pid, moment.tid
        i = -1
        if key in starts:
            place = int(np.searchsorted(starts[key], moment.ts, side="right")) - 1
            i = by_thread[key][place] if place >= 0 else -1
        while i >= 0 and trace.events[i].end < moment.ts:
            i = trace.parents[i]
        part, direction, *_ = found[i] if i >= 0 else (None, "other")
        owners.append((part or UNATTRIBUTED, direction))
    return owners
