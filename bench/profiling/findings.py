"""What a reader of a trace's numbers must know to judge them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from bench.profiling.joining import is_forward, node_name
from bench.profiling.parts import UNATTRIBUTED, Belonging
from bench.profiling.trace import OPERATOR, Trace
from bench.profiling.work import Work

MOST_UNATTRIBUTED = 0.05
MOST_OUTSIDE = 0.01

_COMPILED = ("Torch-Compiled Region", "CompiledFunction", "## Call CompiledFxGraph")
_CHECKPOINT = "CheckpointFunctionBackward"
_CUSTOM = re.compile(r"[A-Za-z_]\w*Backward")
"""Nodes written in Python; those of PyTorch itself end in a digit."""


class Note(NamedTuple):
    """`kind` is one word for programs, `text` a sentence for people."""

    kind: str
    text: str


def structure_notes(
    trace: Trace, made_by: Mapping[int, int], nodes: Sequence[int]
) -> Iterable[Note]:
    """Compiled regions, checkpointing and custom autograd functions.

    `nodes` gives each event the backward node around it, `made_by` nodes their forward operators.
    """
    if any(event.name.startswith(_COMPILED) for event in trace.events):
        yield Note(
            "compiled",
            "compiled regions: ranges inside of them are gone, and their work counts for the part "
            "around them; profile without torch.compile to see the parts",
        )
    if _runs_forward_again(trace, made_by, nodes):
        yield Note(
            "checkpointing",
            "checkpointing: forward operators run again in the backward pass, as backward work",
        )
    yield from _custom_functions(trace, made_by)


def work_notes(
    trace: Trace,
    inside: Sequence[Work],
    outside_us: float,
    found: Sequence[Belonging],
    nodes: Sequence[int],
) -> Iterable[Note]:
    """Work without a part, and work outside of the steps, where they are more than little."""
    whole = sum(work.us for work in inside)
    lost: Counter[str] = Counter()
    for work in inside:
        if work.host < 0 or found[work.host].part in (None, UNATTRIBUTED):
            lost[_source(trace, work.host, nodes)] += work.us  # type: ignore[assignment]
    share = sum(lost.values()) / whole
    if share > MOST_UNATTRIBUTED:
        most = ", ".join(name for name, _ in lost.most_common(3))
        yield Note(
            "unattributed", f"{share:.0%} of the work belongs to no part; most of it: {most}"
        )
    if outside_us > MOST_OUTSIDE * whole:
        yield Note(
            "outside",
            f"{outside_us / (whole + outside_us):.0%} of the trace's work was asked for outside of "
            "its steps, and is not counted",
        )


def _runs_forward_again(trace: Trace, made_by: Mapping[int, int], nodes: Sequence[int]) -> bool:
    """Whether autograd watches operators inside of backward nodes, for no later backward pass.

    With `create_graph=True` it does so for one: then nodes outside of these are made by them.
    """
    again = {i for i, node in enumerate(nodes) if node >= 0 and is_forward(trace, i)}
    later = {
        operator
        for node, operator in made_by.items()
        if operator in again and nodes[operator] not in _around(trace, node, nodes)
    }
    checkpointed = any(_CHECKPOINT in trace.events[nodes[i]].name for i in again)
    return checkpointed or bool(again and not later)


def _around(trace: Trace, node: int, nodes: Sequence[int]) -> Iterable[int]:
    """A backward node and those around it."""
    while node >= 0:
        yield node
        parent = trace.parents[node]
        node = nodes[parent] if parent >= 0 else -1


def _custom_functions(trace: Trace, made_by: Mapping[int, int]) -> Iterable[Note]:
    known: set[str] = set()
    lost: set[str] = set()
    for i, event in enumerate(trace.events):
        name = node_name(event)
        if name and _CUSTOM.fullmatch(name) and not name.startswith(("Checkpoint", "Compiled")):
            (known if i in made_by else lost).add(name.removesuffix("Backward"))
    if lost:
        yield Note(
            "custom_function",
            f"custom autograd functions whose forward call is not in the trace: "
            f"{', '.join(sorted(lost))}; their backward work is unattributed",
        )
    if known:
        yield Note(
            "custom_function",
            f"custom autograd functions: {', '.join(sorted(known))}; their backward work counts "
            "for the part that calls them",
        )


def _source(trace: Trace, host: int, nodes: Sequence[int]) -> str:
    """What work without a part comes from: the backward node, or the outermost operator."""
    if host < 0:
        return "launches that the trace does not hold"
    if nodes[host] >= 0:
        return node_name(trace.events[nodes[host]]) or ""
    name = trace.events[host].name
    while host >= 0:
        if trace.events[host].category == OPERATOR:
            name = trace.events[host].name
        host = trace.parents[host]
    return name
