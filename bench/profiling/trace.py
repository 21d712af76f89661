"""Trace files of the PyTorch profiler, read without PyTorch."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.errors import InputError
from bench.profiling.nesting import parents

OPERATOR, ANNOTATION, MODULE = "cpu_op", "user_annotation", "python_function"
RUNTIME = ("cuda_runtime", "cuda_driver")
KERNEL, COPY, SET = "kernel", "gpu_memcpy", "gpu_memset"
DEVICE = (KERNEL, COPY, SET)
HOST = (ANNOTATION, MODULE, OPERATOR, *RUNTIME)
"""Categories of events, as the profiler names them; of the host, the outer ones first."""

_RANK = {category: rank for rank, category in enumerate((*HOST, *DEVICE))}
_STEP = "ProfilerStep#"
_FLOWS = ("fwdbwd", "forward_backward")
_TOLD_APART_BY = ("ph", "cat", "pid", "tid", "id")
_JOINED_BY = ("correlation", "Fwd thread id")
_GZIP = b"\x1f\x8b"


class Event(NamedTuple):
    """A span of time: µs from an origin that all events of a trace share.

    Of an event on the device, `pid` is the device and `tid` the stream.
    """

    name: str
    category: str
    ts: float
    dur: float
    pid: int | str
    tid: int | str
    args: Mapping[str, Any]

    @property
    def end(self) -> float:
        """When it ends, in µs."""
        return self.ts + self.dur


class Place(NamedTuple):
    """A moment on a thread, as the ends of flows are given."""

    pid: int | str
    tid: int | str
    ts: float


class Flow(NamedTuple):
    """From a forward operator to the backward node that it made."""

    start: Place
    end: Place


class Step(NamedTuple):
    """One range `ProfilerStep#<number>` on the host, in µs."""

    number: int
    start: float
    end: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Trace:
    """What a trace file tells.

    `events` holds the operators, annotations, modules and runtime calls of the host, and the
    kernels, copies and sets of the device, by the time they start, outer ones first; `devices`
    their properties as the profiler wrote them; `metadata` what else stands at the top of the file.
    """

    path: Path
    events: Sequence[Event]
    flows: Sequence[Flow]
    steps: Sequence[Step]
    devices: Sequence[Mapping[str, Any]]
    memory: Sequence[Mapping[str, Any]]
    """What allocators did, as `profile_memory=True` writes it."""
    metadata: Mapping[str, Any]

    @property
    def on_device(self) -> bool:
        """Whether the work was done by a device, so that operators only launch it."""
        return any(event.category in DEVICE for event in self.events)

    @cached_property
    def parents(self) -> list[int]:
        """For each event the index of the innermost one around it on its thread, or -1.

        Events of the device have none.
        """
        host = [i for i, event in enumerate(self.events) if event.category in HOST]
        found = parents(
            [(event.pid, event.tid) for event in map(self.events.__getitem__, host)],
            [self.events[i].ts for i in host],
            [self.events[i].end for i in host],
        )
        whole = [-1] * len(self.events)
        for i, parent in zip(host, found, strict=True):
            whole[i] = -1 if parent < 0 else host[parent]
        return whole

    def steps_at(self, times: ArrayLike) -> NDArray[np.intp]:
        """The place in `steps` of each of `times`, or -1 outside of all."""
        moments = np.asarray(times, dtype=np.float64)
        ends = np.array([step.end for step in self.steps])
        place = np.searchsorted([step.start for step in self.steps], moments, side="right") - 1
        return np.where((place >= 0) & (moments < ends[place]), place, -1)


def is_launch(event: Event) -> bool:
    """Whether an event is a call of the host that launches kernels, or a graph of them."""
    return event.category in RUNTIME and "Launch" in event.name and "HostFunc" not in event.name


def read_trace(path: Path) -> Trace:
    """The trace in a `.json` or `.json.gz` file that `torch.profiler` wrote.

    Raises:
        InputError: if the file cannot be read, is no such trace, has no steps, or holds nothing
            inside of them, so that every number from it would be a zero that nobody measured.
    """
    whole = _json(path)
    raw = whole.get("traceEvents") if isinstance(whole, dict) else None
    if not isinstance(raw, list):
        raise InputError(f"{path} is no trace of the PyTorch profiler: it has no `traceEvents`")
    entries = [entry for entry in raw if isinstance(entry, dict) and _is_sound(entry)]
    devices = whole.get("deviceProperties")
    events = sorted(_events(entries), key=_order)
    trace = Trace(
        path=path,
        events=events,
        flows=_flows(entries),
        steps=_steps(events),
        memory=[one for one in entries if _is_memory(one)],
        devices=[one for one in devices if isinstance(one, dict)]
        if isinstance(devices, list)
        else [],
        metadata={
            key: value
            for key, value in whole.items()
            if key not in ("traceEvents", "deviceProperties")
        },
    )
    _check(trace)
    return trace


def _json(path: Path) -> Any:
    try:
        data = path.read_bytes()
        if data.startswith(_GZIP):
            data = gzip.decompress(data)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is cut off or damaged: {error}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    if not data.strip():
        raise InputError(f"{path} is empty: the profiler ended before it wrote its trace")
    try:
        # Names of kernels and files may hold anything: control characters, other encodings.
        return json.loads(data.decode("utf-8", errors="replace"), strict=False)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path} is cut off or no JSON: {error}") from None


def _is_sound(entry: Mapping[str, Any]) -> bool:
    """Whether what an entry is told apart by are words and numbers, as the profiler writes them."""
    args = entry.get("args")
    told = [entry.get(name) for name in _TOLD_APART_BY]
    told += [args.get(name) for name in _JOINED_BY] if isinstance(args, dict) else []
    return all(value is None or isinstance(value, str | int | float) for value in told)


def _is_time(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)


def _events(entries: Iterable[Mapping[str, Any]]) -> Iterable[Event]:
    for entry in entries:
        category = entry.get("cat")
        if entry.get("ph") != "X" or category not in _RANK:
            continue
        name = str(entry.get("name", ""))
        if category == MODULE and not name.startswith("nn.Module: "):
            continue  # lines of Python: many, and no part of a model
        ts, dur = entry.get("ts"), entry.get("dur", 0)
        if _is_time(ts) and _is_time(dur):
            args = entry.get("args")
            yield Event(
                name,
                category,
                float(ts),
                max(float(dur), 0.0),
                entry.get("pid", 0),
                entry.get("tid", 0),
                args if isinstance(args, dict) else {},
            )


def _is_memory(entry: Mapping[str, Any]) -> bool:
    told = entry.get("name") == "[memory]" and isinstance(entry.get("args"), dict)
    return told and _is_time(entry.get("ts"))


def _order(event: Event) -> tuple[float, float, int]:
    return event.ts, -event.dur, _RANK[event.category]


def _flows(entries: Iterable[Mapping[str, Any]]) -> list[Flow]:
    ends: dict[str, dict[Any, Place]] = {"s": {}, "f": {}}
    for entry in entries:
        ts = entry.get("ts", 0)
        if entry.get("cat") in _FLOWS and entry.get("ph") in ends and _is_time(ts):
            place = Place(entry.get("pid", 0), entry.get("tid", 0), float(ts))
            ends[entry["ph"]][entry.get("id")] = place
    return [
        Flow(start, ends["f"][number]) for number, start in ends["s"].items() if number in ends["f"]
    ]


def _steps(events: Iterable[Event]) -> list[Step]:
    return [
        Step(int(event.name.removeprefix(_STEP)), event.ts, event.end)
        for event in events
        if event.category in (ANNOTATION, OPERATOR)
        and event.name.startswith(_STEP)
        and event.name.removeprefix(_STEP).isdecimal()
    ]


def _check(trace: Trace) -> None:
    operators = [
        event.ts
        for event in trace.events
        if event.category == OPERATOR and not event.name.startswith(_STEP)
    ]
    if not operators:
        raise InputError(
            f"{trace.path} holds no operators of PyTorch: profile with "
            "activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]"
        )
    launches = sum(map(is_launch, trace.events))
    if launches and not any(e.category == KERNEL for e in trace.events):
        raise InputError(
            f"{trace.path}: device events missing: {launches} launches of kernels, and no kernel. "
            "Profile with ProfilerActivity.CUDA, in a process that no other profiler watches"
        )
    if not trace.steps:
        raise InputError(
            f"{trace.path} holds no steps (ProfilerStep#…): profile with "
            "schedule=torch.profiler.schedule(wait=1, warmup=2, active=3), and call step() of the "
            "profiler at the end of each step"
        )
    if not (trace.steps_at(operators) >= 0).any():
        raise InputError(
            f"{trace.path}: nothing inside its {len(trace.steps)} steps: no operator starts there"
        )
