from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.profiling.memory import CPU, CUDA, memory_by_part
from bench.profiling.session import record_memory
from bench.profiling.trace import read_trace
from bench.timing.memory import peak_memory_mib
from mtmm.spec import DataBundle
from tests.bench.profiling.made import MAIN, PROCESS, Recorder
from tests.bench.profiling.steps import config_of, step_of

MIB = 2**20


def change(recorder: Recorder, ts: float, mib: float, address: int, device: int = CUDA) -> None:
    told = {"Bytes": int(mib * MIB), "Addr": address, "Device Type": device}
    entry: dict[str, Any] = {"ph": "i", "cat": "cpu_instant_event", "name": "[memory]"}
    place = {"pid": PROCESS, "tid": MAIN, "ts": recorder.origin + ts, "args": told}
    recorder.entries.append(entry | place)


def test_what_is_held_when_most_is(tmp_path: Path) -> None:
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
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"traceEvents": recorder.entries}), encoding="utf-8")
    rows = {row["part"]: row for row in memory_by_part(read_trace(path), CUDA)}
    assert [(p, r["peak_mib"], r["allocated_mib"]) for p, r in rows.items()] == [
        ("fusion", 4.0, 6.0),
        ("heads.a", 3.0, 3.0),
        ("unattributed", 0.0, 1.0),
    ]
    (other,) = memory_by_part(read_trace(path), CPU)
    assert other["peak_mib"] == 50.0


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
    assert memory_by_part(read_trace(tmp_path / "trace.json"), CPU) == []
