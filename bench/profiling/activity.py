"""How host and device work together in the steps of a trace: launches, waits, copies, idle time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from bench.profiling.findings import Note
from bench.profiling.trace import COPY, DEVICE, KERNEL, RUNTIME, SET, Event, Step, Trace, is_launch
from bench.profiling.work import all_work, covered

SYNCS = {
    *("cudaDeviceSynchronize", "cudaStreamSynchronize", "cudaEventSynchronize"),
    *("cuCtxSynchronize", "cuStreamSynchronize", "cuEventSynchronize"),
}
"""Calls by which the host waits for the device."""


@dataclass(frozen=True, kw_only=True)
class Activity:
    """Counts per step, means over steps; and shares of the steps' time.

    `launches` are the calls that launch kernels or graphs of them, `kernels` those that ran,
    `syncs` the calls that wait for the device, `copies` those of memory by direction, such as
    HtoD, and `memset`. `busy_share` is the part of the steps' time in which any stream of a device
    works (mean over devices); what runs on after the last step is not counted.
    """

    launches: float
    kernels: float
    syncs: float
    copies: dict[str, float]
    busy_share: float
    notes: tuple[Note, ...]

    @property
    def idle_share(self) -> float:
        """The part of the steps' time in which no stream works."""
        return 1.0 - self.busy_share


def activity(trace: Trace) -> Activity | None:
    """What a trace tells of its device; None where it has none."""
    if not trace.on_device:
        return None
    count = len(trace.steps)
    calls = [event for event in trace.events if event.category in RUNTIME]
    within = trace.steps_at([event.ts for event in calls])
    calls = [event for event, step in zip(calls, within.tolist(), strict=True) if step >= 0]
    works = [work for work in all_work(trace) if work.step >= 0]
    events = [trace.events[work.event] for work in works]
    copies = Counter(_copied(event) for event in events if event.category in (COPY, SET))
    kernels = [0] * count
    for work, event in zip(works, events, strict=True):
        kernels[work.step] += event.category == KERNEL
    return Activity(
        launches=sum(map(is_launch, calls)) / count,
        kernels=sum(kernels) / count,
        syncs=sum(event.name in SYNCS for event in calls) / count,
        copies={name: number / count for name, number in sorted(copies.items())},
        busy_share=_busy_share(trace.events, trace.steps),
        notes=_incomplete(trace.steps, kernels),
    )


def _copied(event: Event) -> str:
    """`HtoD` of `Memcpy HtoD (Pageable -> Device)`."""
    words = event.name.split()
    return "memset" if event.category == SET else words[1] if len(words) > 1 else event.name


def _busy_share(events: Sequence[Event], steps: Sequence[Step]) -> float:
    spans: defaultdict[int | str, list[tuple[float, float]]] = defaultdict(list)
    for event in events:
        if event.category in DEVICE:
            spans[event.pid].append((event.ts, event.end))
    whole = sum(step.end - step.start for step in steps)
    busy = sum(
        covered((max(start, step.start), min(end, step.end)) for start, end in device)
        for device in spans.values()
        for step in steps
    )
    return busy / (whole * len(spans))


def _incomplete(steps: Sequence[Step], kernels: Sequence[int]) -> tuple[Note, ...]:
    if len(set(kernels)) == 1:
        return ()
    each = ", ".join(f"{step.number}: {n}" for step, n in zip(steps, kernels, strict=True))
    return (
        Note(
            "trace_incomplete",
            f"the steps do not hold equally many kernels ({each}): the profiler lost some, or the "
            "steps do not do the same",
        ),
    )
