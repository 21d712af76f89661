from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.errors import InputError
from bench.profiling.trace import read_trace
from tests.bench.profiling.made import FIRST, Entry, Recorder, gpu_entries, write


def test_what_a_trace_holds(tmp_path: Path) -> None:
    trace = read_trace(write(tmp_path / "a.json", gpu_entries(), about={"arm": "film"}))
    assert [step.number for step in trace.steps] == [FIRST, FIRST + 1]
    assert [step.end - step.start for step in trace.steps] == [1000, 1000]
    assert len(trace.flows) == 6
    assert trace.devices[0]["name"] == "GPU by hand"
    assert trace.metadata["about"] == {"arm": "film"}
    starts = [event.ts for event in trace.events]
    assert starts == sorted(starts)


def test_a_compressed_file_reads_the_same_whatever_its_name(tmp_path: Path) -> None:
    plain = write(tmp_path / "a.json", gpu_entries())
    packed = tmp_path / "b.json"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_trace(packed).events == read_trace(plain).events


def test_whole_numbers_and_names_with_anything_in_them(tmp_path: Path) -> None:
    entries = gpu_entries()
    for entry in entries:
        entry["ts"] = int(entry["ts"])
    path = write(tmp_path / "a.json", entries)
    text = path.read_text(encoding="utf-8").replace("nvjet_tst", "nv\tjet")
    path.write_bytes(text.encode().replace(b"mse>", b"\xff>"))
    names = {event.name for event in read_trace(path).events}
    assert "nv\tjet_64x64" in names
    assert "elementwise_kernel<\ufffd>" in names


def test_entries_that_are_no_spans_are_passed_over(tmp_path: Path) -> None:
    odd: list[Entry] = [
        {"ph": "M", "name": "process_name"},
        {"ph": "X", "cat": "cpu_op", "name": "no time"},
        {"ph": "X", "cat": "python_function", "name": "a.py(1): f", "ts": 1, "dur": 1},
        {"ph": "X", "cat": "gpu_user_annotation", "name": "ProfilerStep#9", "ts": 1, "dur": 1},
    ]
    path = write(tmp_path / "a.json", [*odd, *gpu_entries()])
    events = read_trace(write(tmp_path / "b.json", gpu_entries())).events
    assert read_trace(path).events == events


@pytest.mark.parametrize(
    "odd",
    [
        *({name: ["a"]} for name in ("ph", "cat", "pid", "tid", "id")),
        {"args": {"correlation": ["a"]}},
        {"args": {"Fwd thread id": {}}},
        *({"ts": ts} for ts in (None, "1", math.nan, math.inf)),
        {"dur": math.nan},
        {"cat": "fwdbwd", "ph": "s", "ts": "later"},
    ],
)
def test_spoilt_entries_are_passed_over(odd: Entry, tmp_path: Path) -> None:
    spoilt = {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "ts": 1, "dur": 1, "id": 1} | odd
    path = write(tmp_path / "a.json", [spoilt, *gpu_entries()])
    whole = read_trace(write(tmp_path / "b.json", gpu_entries()))
    assert read_trace(path).events == whole.events
    assert read_trace(path).flows == whole.flows


def test_properties_of_devices_may_be_anything(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", gpu_entries(), deviceProperties=7)
    assert read_trace(path).devices == []


def test_a_moment_outside_of_all_steps_has_none(tmp_path: Path) -> None:
    trace = read_trace(write(tmp_path / "a.json", gpu_entries()))
    start, end = trace.steps[0].start, trace.steps[1].end
    assert trace.steps_at([start - 1, start, start + 1000, end]).tolist() == [-1, 0, 1, -1]


def _without(keep: Callable[[Entry], bool]) -> bytes:
    return json.dumps({"traceEvents": list(filter(keep, gpu_entries()))}).encode()


WHOLE = _without(lambda entry: True)
BAD = {
    "empty": (b"", "is empty: the profiler ended before it wrote"),
    "blank": (b" \n", "is empty"),
    "cut": (WHOLE[: len(WHOLE) // 2], "is cut off or no JSON"),
    "cut gzip": (gzip.compress(WHOLE)[:400], "is cut off or damaged"),
    "damaged gzip": (b"\x1f\x8b" + WHOLE, "is cut off or damaged"),
    "empty gzip": (gzip.compress(b""), "is empty"),
    "text": (b"hello", "is cut off or no JSON"),
    "deep": (b"[" * 100_000, "is cut off or no JSON"),
    "other JSON": (b'{"benchmarks": []}', "it has no `traceEvents`"),
    "a list": (b"[1, 2]", "it has no `traceEvents`"),
    "null": (b"null", "it has no `traceEvents`"),
    "no events": (b'{"traceEvents": []}', "holds no operators of PyTorch"),
    "only steps": (
        _without(lambda entry: entry["cat"] != "cpu_op"),
        "holds no operators of PyTorch",
    ),
    "another tool": (
        b'{"traceEvents": [{"ph": "X", "cat": "v8", "name": "Run", "ts": 1, "dur": 2}, 5]}',
        "holds no operators of PyTorch: profile with",
    ),
    "no steps": (
        _without(lambda entry: not entry["name"].startswith("ProfilerStep")),
        r"holds no steps \(ProfilerStep#…\): profile with schedule=",
    ),
    "lost kernels": (
        _without(lambda entry: entry["cat"] != "kernel"),
        "device events missing: 26 launches of kernels, and no kernel",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_told_by_name(kind: str, tmp_path: Path) -> None:
    content, message = BAD[kind]
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_trace(path)
    assert str(path) in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json: there is no such file"):
        read_trace(tmp_path / "none.json")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_trace(tmp_path)


def test_steps_with_nothing_inside(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.scope("ProfilerStep#1", 0, 10)
    recorder.operator("aten::mm", 20, 30)
    path = write(tmp_path / "a.json", recorder.entries)
    with pytest.raises(InputError, match="nothing inside its 1 steps"):
        read_trace(path)
