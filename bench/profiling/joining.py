"""Which forward operator made which node of the backward pass.

A node runs as `autograd::engine::evaluate_function: <node>`, on CUDA on a thread of autograd's own.
The profiler draws a flow from the forward operator to the node. Where one is missing, as for a
graph that is run backward twice, node and operator share the sequence number of the forward
thread: of the operators that show it, the last one that started before the node made the node.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping
from typing import Any

from bench.profiling.trace import OPERATOR, Event, Place, Trace

NODE = "autograd::engine::evaluate_function: "
ACCUMULATE = "AccumulateGrad"

_SEQUENCE, _THREAD = "Sequence number", "Fwd thread id"
_Thread = tuple[int | str, int | str]


def node_name(event: Event) -> str | None:
    """The name of the node of the backward pass that an event is the run of, or None."""
    return event.name.removeprefix(NODE) if event.name.startswith(NODE) else None


def joined(trace: Trace) -> dict[int, int]:
    """For each backward node, by its place in the events, that of its forward operator.

    Nodes whose operator is unknown are left out.
    """
    by_flow = _by_flow(trace)
    return {**_by_sequence(trace, by_flow), **by_flow}


def sequence(event: Event) -> int | None:
    """The sequence number of an operator that autograd knows, or None."""
    number = event.args.get(_SEQUENCE)
    return number if isinstance(number, int) and number >= 0 else None


def is_forward(trace: Trace, i: int) -> bool:
    """Whether autograd may have made a node for this operator."""
    event = trace.events[i]
    if event.category != OPERATOR or sequence(event) is None or event.name.startswith(NODE):
        return False
    parent = trace.parents[i]
    return not (
        parent >= 0
        and trace.events[parent].name.startswith(NODE)
        and sequence(trace.events[parent]) == sequence(event)
    )  # directly below a node, with its number, runs what the node calls


def nodes_around(trace: Trace) -> list[int]:
    """For each event the innermost run of a backward node that it is or is part of, or -1."""
    found: list[int] = []
    for i, event in enumerate(trace.events):
        parent = trace.parents[i]
        found.append(i if event.name.startswith(NODE) else found[parent] if parent >= 0 else -1)
    return found


def _by_flow(trace: Trace) -> dict[int, int]:
    ends = {end for flow in trace.flows for end in (flow.start, flow.end)}
    at: defaultdict[Place, list[int]] = defaultdict(list)
    for i, event in enumerate(trace.events):
        place = Place(event.pid, event.tid, event.ts)
        if event.category == OPERATOR and place in ends:
            at[place].append(i)
    nodes = nodes_around(trace)
    found: dict[int, int] = {}
    for flow in trace.flows:
        node = next((nodes[i] for i in at[flow.end] if nodes[i] >= 0), -1)
        operators = [i for i in at[flow.start] if is_forward(trace, i)]
        if node >= 0 and operators:
            number = sequence(trace.events[node])
            same = [i for i in operators if sequence(trace.events[i]) == number]
            found[node] = (same or operators)[-1]  # the innermost one
    return found


def _by_sequence(trace: Trace, known: Mapping[int, int]) -> dict[int, int]:
    forward: defaultdict[tuple[Hashable, int], list[int]] = defaultdict(list)
    for i, event in enumerate(trace.events):
        number = sequence(event)
        if number is not None and is_forward(trace, i):
            forward[_thread(event), number].append(i)
    threads = _threads(trace, known)
    running = {thread for thread, _ in forward}
    only = next(iter(running)) if len(running) == 1 else None
    found: dict[int, int] = {}
    for i, event in enumerate(trace.events):
        number = sequence(event)
        if i in known or number is None or not event.name.startswith(NODE):
            continue
        thread = threads.get(event.args.get(_THREAD), only)
        before = [j for j in forward.get((thread, number), ()) if j < i]
        if before:
            found[i] = before[-1]
    return found


def _threads(trace: Trace, known: Mapping[int, int]) -> dict[Any, _Thread]:
    """From the profiler's own numbers of forward threads to threads, as known pairs tell."""
    seen: defaultdict[Any, Counter[_Thread]] = defaultdict(Counter)
    for node, operator in known.items():
        number = trace.events[node].args.get(_THREAD)
        seen[number][_thread(trace.events[operator])] += 1
    return {number: threads.most_common(1)[0][0] for number, threads in seen.items()}


def _thread(event: Event) -> _Thread:
    return event.pid, event.tid
