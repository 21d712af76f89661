"""Which parts of a step hold its memory: when most is held, and over the step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.profiling.joining import joined
from bench.profiling.parts import UNATTRIBUTED, belongings
from bench.profiling.trace import HOST, Trace

_MIB = 2**20
CPU, CUDA = 0, 1
"""Types of devices, as PyTorch numbers them."""

MOST_POINTS = 150
"""Points of a timeline."""


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


class _Move(NamedTuple):
    """A change of what a part holds, in bytes; what is given back counts for who took it."""

    ts: float
    part: str
    direction: str
    bytes: int


def memory_by_part(trace: Trace, device: int) -> list[dict[str, Any]]:
    """Rows `part, direction, peak_mib, allocated_mib` of the trace's last step, most held first.

    `allocated_mib` is all that a part took in the step, `peak_mib` what of it was held at the
    moment when most was: the sum over parts is how far the step's memory rose. What is taken in the
    forward pass is held for the backward pass. Empty where the trace tells nothing of memory.
    """
    moves = list(_moves(trace, device))
    until = int(_held(moves).argmax()) if moves else 0
    peak: dict[tuple[str, str], int] = {}
    allocated: dict[tuple[str, str], int] = {}
    for i, move in enumerate(moves):
        owner = move.part, move.direction
        allocated[owner] = allocated.get(owner, 0) + max(move.bytes, 0)
        peak[owner] = peak.get(owner, 0) + (move.bytes if i <= until else 0)
    return sorted(
        (
            {
                "part": part,
                "direction": direction,
                "peak_mib": peak[part, direction] / _MIB,
                "allocated_mib": taken / _MIB,
            }
            for (part, direction), taken in allocated.items()
        ),
        key=lambda row: -float(row["peak_mib"]),
    )


def memory_timeline(trace: Trace, device: int) -> dict[str, Any]:
    """What each part holds over the trace's last step, ready for JSON.

    `{"ms": [0.0, ...], "parts": {part: [MiB, ...], ...}}`: a list of moments, in ms from the start
    of the step (under the profiler), and for each part as many numbers, what it holds of what was
    taken in the step from that moment on; parts come in the order in which they take. There are at
    most `MOST_POINTS` moments: the start, the last change, and of each of the equal spans between
    that one when most is held, so that the step's peak is among them. The sum over parts is what
    the step holds. Both are empty where the trace tells nothing of memory.
    """
    moves = list(_moves(trace, device))
    if not moves:
        return {"ms": [], "parts": {}}
    start = trace.steps[-1].start
    kept = _most_held_moments(np.array([move.ts for move in moves]), _held(moves))
    parts = {}
    for part in dict.fromkeys(move.part for move in moves):
        held = _held([move if move.part == part else move._replace(bytes=0) for move in moves])
        parts[part] = [0.0, *(round(int(held[i]) / _MIB, 6) for i in kept)]  # to the byte
    return {"ms": [0.0, *(round((moves[i].ts - start) / 1e3, 4) for i in kept)], "parts": parts}


def _most_held_moments(ts: NDArray[np.float64], held: NDArray[np.int64]) -> list[int]:
    """Places of moments, in order: see `memory_timeline`; without the start."""
    edges = np.linspace(ts[0], ts[-1], MOST_POINTS - 2)
    span = np.searchsorted(edges, ts, side="right")
    by_span = np.split(np.arange(len(ts)), np.flatnonzero(np.diff(span)) + 1)
    most = {int(places[held[places].argmax()]) for places in by_span}
    return sorted(most | {len(ts) - 1})


def _held(moves: Sequence[_Move]) -> NDArray[np.int64]:
    """Bytes that are held after each move."""
    return np.cumsum([move.bytes for move in moves], dtype=np.int64)


def _moves(trace: Trace, device: int) -> Iterator[_Move]:
    """What parts took in the trace's last step, and gave back of it."""
    step = trace.steps[-1]
    inside = [c for c in changes(trace, device) if step.start <= c.ts < step.end]
    taken: dict[int, _Move] = {}
    for change, (part, direction) in zip(inside, _owners(trace, inside), strict=True):
        if change.bytes > 0:
            taken[change.address] = _Move(change.ts, part, direction, change.bytes)
            yield taken[change.address]
        elif change.address in taken:  # what was taken before the step is no part of its rise
            was = taken.pop(change.address)
            yield was._replace(ts=change.ts, bytes=-was.bytes)


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
