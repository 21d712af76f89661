from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.profiling.memory import (
    CPU,
    CUDA,
    MOST_POINTS,
    changes,
    memory_by_part,
    memory_timeline,
)
from bench.profiling.session import record_memory
from bench.profiling.trace import Trace, read_trace
from bench.timing.memory import peak_memory_mib
from mtmm.spec import DataBundle
from tests.bench.profiling.made import MAIN, PROCESS, Recorder, write
from tests.bench.profiling.steps import config_of, step_of

MIB = 2**20


def change(recorder: Recorder, ts: float, mib: float, address: int, device: int = CUDA) -> None:
    told = {"Bytes": int(mib * MIB), "Addr": address, "Device Type": device}
    entry: dict[str, Any] = {"ph": "i", "cat": "cpu_instant_event", "name": "[memory]"}
    place = {"pid": PROCESS, "tid": MAIN, "ts": recorder.origin + ts, "args": told}
    recorder.entries.append(entry | place)


@pytest.fixture
def by_hand(tmp_path: Path) -> Trace:
    """A step whose fusion keeps 4 MiB, and whose head takes 3 MiB for a while."""
    recorder = Recorder()
    recorder.span("user_annotation", "ProfilerStep#3", 0, 1000)
    recorder.scope("mtmm::fusion", 100, 200)
    recorder.operator("aten::mm", 110, 190)
    recorder.scope("mtmm::heads.a", 300, 400)
    recorder.operator("aten::mm", 310, 390)
    recorder.operator("aten::add", 500, 600)
    change(recorder, 120, 4, 1)  # a result that is kept
    change(recorder, 130, 2, 2)  # scratch
    change(recorder, 140, -2, 2)
    change(recorder, 320, 3, 3)  # 7 MiB are held: the most
    change(recorder, 350, -5, 9)  # of before the step
    change(recorder, 360, -3, 3)
    change(recorder, 550, 1, 2)
    change(recorder, 560, 50, 7, CPU)
    return read_trace(write(tmp_path / "trace.json", recorder.entries))


def test_what_is_held_when_most_is(by_hand: Trace) -> None:
    rows = {row["part"]: row for row in memory_by_part(by_hand, CUDA)}
    assert [(p, r["peak_mib"], r["allocated_mib"]) for p, r in rows.items()] == [
        ("fusion", 4.0, 6.0),
        ("heads.a", 3.0, 3.0),
        ("unattributed", 0.0, 1.0),
    ]
    (other,) = memory_by_part(by_hand, CPU)
    assert other["peak_mib"] == 50.0


def test_what_is_held_over_a_step(by_hand: Trace) -> None:
    assert memory_timeline(by_hand, CUDA) == {
        "ms": [0.0, 0.12, 0.13, 0.14, 0.32, 0.36, 0.55],
        "parts": {
            "fusion": [0.0, 4.0, 6.0, 4.0, 4.0, 4.0, 4.0],
            "heads.a": [0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0],
            "unattributed": [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
        },
    }
    assert memory_timeline(by_hand, CPU) == {
        "ms": [0.0, 0.56],
        "parts": {"unattributed": [0.0, 50.0]},
    }


def test_a_long_timeline_is_thinned_and_keeps_its_peak(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.span("user_annotation", "ProfilerStep#3", 0, 10_000)
    recorder.scope("mtmm::fusion", 0, 9_000)
    recorder.operator("aten::mm", 0, 9_000)
    for i in range(2_000):  # a saw that is highest in one short tooth
        change(recorder, 4 * i + 1, 9.5 if i == 1_234 else 2, i)
        change(recorder, 4 * i + 2, -2, i)
    timeline = memory_timeline(read_trace(write(tmp_path / "a.json", recorder.entries)), CUDA)
    held = timeline["parts"]["fusion"]
    assert MOST_POINTS / 2 < len(held) == len(timeline["ms"]) <= MOST_POINTS
    assert max(held) == 9.5
    assert timeline["ms"][held.index(9.5)] == pytest.approx((4 * 1_234 + 1) / 1e3)
    assert timeline["ms"] == sorted(timeline["ms"])
    assert (held[0], held[-1]) == (0.0, 0.0)
    assert set(held[1:-1]) == {2.0, 9.5}


def held_after(trace: Trace, ms: float) -> float:
    """MiB of a step that are held from a moment on, told from the trace's own numbers."""
    start, end = trace.steps[-1].start, trace.steps[-1].end
    sizes: dict[int, int] = {}
    for one in changes(trace, CPU):
        if start <= one.ts < end and round((one.ts - start) / 1e3, 4) <= ms:
            sizes.pop(one.address, None)
            sizes |= {one.address: one.bytes} if one.bytes > 0 else {}
    return sum(sizes.values()) / MIB


@pytest.mark.filterwarnings("ignore:Warning. Profiler clears events")
def test_parts_of_a_timeline_sum_to_what_the_step_holds(bundle: DataBundle, tmp_path: Path) -> None:
    step, batch = step_of(config_of(), bundle)
    step(batch)
    record_memory(step, batch, tmp_path / "memory.json")
    trace = read_trace(tmp_path / "memory.json")
    timeline = memory_timeline(trace, CPU)
    sums = [sum(at) for at in zip(*timeline["parts"].values(), strict=True)]
    assert sums == pytest.approx([held_after(trace, ms) for ms in timeline["ms"]], abs=1e-4)
    rows = memory_by_part(trace, CPU)
    assert max(sums) == pytest.approx(sum(row["peak_mib"] for row in rows), abs=1e-4)
    place = sums.index(max(sums))
    at_most = dict.fromkeys(timeline["parts"], 0.0)
    for row in rows:
        at_most[row["part"]] += row["peak_mib"]
    found = {part: held[place] for part, held in timeline["parts"].items()}
    assert found == pytest.approx(at_most, abs=1e-5)
    assert json.loads(json.dumps(timeline)) == timeline
    assert len(json.dumps(timeline)) < 50_000


@pytest.mark.filterwarnings("ignore:Warning. Profiler clears events")
@pytest.mark.parametrize("sharing", ["hard", "separate", "mmoe"])
def test_parts_sum_to_the_rise_that_timing_measures(
    sharing: str, bundle: DataBundle, tmp_path: Path
) -> None:
    step, batch = step_of(config_of({"sharing": sharing}), bundle)
    step(batch)  # the first makes the optimizer's state
    record_memory(step, batch, tmp_path / "memory.json")
    rows = memory_by_part(read_trace(tmp_path / "memory.json"), CPU)

    def stepped(mark: Callable[[], None]) -> None:
        step(batch, mark)

    measured = peak_memory_mib(stepped, step.phases, batch.device)
    whole = sum(row["peak_mib"] for row in rows)
    assert whole == pytest.approx(max(measured.values()), rel=0.1)
    of_encoders = sum(r["peak_mib"] for r in rows if r["part"].startswith("encoders."))
    assert of_encoders > 0.5 * whole
    assert {"forward", "backward"} <= {row["direction"] for row in rows}


def test_a_trace_without_memory_has_none(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.span("user_annotation", "ProfilerStep#3", 0, 1000)
    recorder.operator("aten::mm", 110, 190)
    (tmp_path / "trace.json").write_text(json.dumps({"traceEvents": recorder.entries}))
    trace = read_trace(tmp_path / "trace.json")
    assert memory_by_part(trace, CPU) == []
    assert memory_timeline(trace, CPU) == {"ms": [], "parts": {}}
