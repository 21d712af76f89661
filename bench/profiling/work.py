"""The work in a trace: what took time, how long, and which event of the host asked for it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bench.errors import InputError
from bench.profiling.trace import DEVICE, OPERATOR, RUNTIME, Event, Trace


class Work(NamedTuple):
    """`us` of work in step `step` (a place in the trace's steps).

    `event` is what took the time, `host` the event of the host that it belongs to, or -1; both are
    places in the trace's events.
    """

    us: float
    step: int
    event: int
    host: int


def all_work(trace: Trace) -> list[Work]:
    """All work in a trace, by the time it took place.

    In the trace of a device, these are kernels, copies and sets; they belong to the call that
    launched them, which has their correlation id, and to the step it was made in. Else these are
    operators, without the time of the operators inside of them.
    """
    return _of_device(trace) if trace.on_device else _of_operators(trace)


def in_steps(trace: Trace, work: Iterable[Work]) -> list[Work]:
    """What of a trace's work was asked for inside a step.

    Raises:
        InputError: if there is none.
    """
    inside = [one for one in work if one.step >= 0]
    if not sum(one.us for one in inside):
        raise InputError(
            f"{trace.path}: nothing inside its {len(trace.steps)} steps: "
            + ("no kernel was launched there" if trace.on_device else "its operators took no time")
        )
    return inside


def total_us(trace: Trace) -> float:
    """µs of all work, told without looking at which event is inside which."""
    if trace.on_device:
        return sum(event.dur for event in trace.events if event.category in DEVICE)
    operators: defaultdict[object, list[tuple[float, float]]] = defaultdict(list)
    for event in trace.events:
        if event.category == OPERATOR:
            operators[event.pid, event.tid].append((event.ts, event.end))
    return sum(covered(spans) for spans in operators.values())


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """The length of the union of intervals."""
    length, until = 0.0, -math.inf
    for start, end in sorted(spans):
        length += max(0.0, end - max(start, until))
        until = max(until, end)
    return length


def _of_device(trace: Trace) -> list[Work]:
    calls = {
        event.args.get("correlation"): i
        for i, event in enumerate(trace.events)
        if event.category in RUNTIME and event.args.get("correlation") is not None
    }
    mine = [i for i, event in enumerate(trace.events) if event.category in DEVICE]
    hosts = [calls.get(trace.events[i].args.get("correlation"), -1) for i in mine]
    asked = [trace.events[i if host < 0 else host].ts for i, host in zip(mine, hosts, strict=True)]
    steps = trace.steps_at(asked).tolist()
    return [
        Work(trace.events[i].dur, step, i, host)
        for i, step, host in zip(mine, steps, hosts, strict=True)
    ]


def _of_operators(trace: Trace) -> list[Work]:
    own = _own_us(trace.events, trace.parents)
    mine = [i for i, event in enumerate(trace.events) if event.category == OPERATOR]
    steps = trace.steps_at([trace.events[i].ts for i in mine]).tolist()
    return [Work(own[i], step, i, i) for i, step in zip(mine, steps, strict=True)]


def _own_us(events: Sequence[Event], parents: Sequence[int]) -> list[float]:
    """The time of each event without that of the operators inside, at least 0."""
    own = [event.dur for event in events]
    for i, event in enumerate(events):
        if event.category != OPERATOR:
            continue
        outer = parents[i]
        while outer >= 0 and events[outer].category != OPERATOR:
            outer = parents[outer]
        if outer >= 0:
            own[outer] -= min(event.end, events[outer].end) - event.ts
    return [max(us, 0.0) for us in own]
