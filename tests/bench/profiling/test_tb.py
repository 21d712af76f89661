from __future__ import annotations

import gzip
import json
import logging
import multiprocessing.process
import os
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from bench.errors import InputError
from bench.profiling import tb
from bench.profiling.attribution import attribute
from bench.profiling.kernels import kernel_table
from bench.profiling.tb import ROLES, PluginTables, read_with_plugin
from bench.profiling.trace import read_trace
from tests.bench.profiling.plugin_traces import Event, cpu_trace, gpu_events, write

ROOT = Path(__file__).parents[3]
V100 = ROOT.parent / "shared/data/traces/v100-ddp-train-5-steps.pt.trace.json.gz"

needs_v100 = pytest.mark.skipif(not V100.exists(), reason="the recorded V100 trace is not here")
FAILS_IN_THE_PLUGIN = [{"ph": "X", "cat": "cpu_op", "name": "aten::mm"}]


@pytest.fixture(autouse=True)
def _installed() -> None:
    pytest.importorskip("torch_tb_profiler", reason="torch-tb-profiler is not installed")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A live CPU trace."""
    return cpu_trace(tmp_path_factory.mktemp("trace") / "here_1.pt.trace.json.gz")


@pytest.fixture
def gpu(tmp_path: Path) -> PluginTables:
    """The tables of the trace by hand."""
    return read_with_plugin(write(tmp_path / "gpu.json", gpu_events()))


def _own_times(operators: list[Event]) -> dict[str, float]:
    """By name, what no nested operator of the thread covers, µs."""
    own: dict[str, float] = defaultdict(float)
    ends: dict[int, list[tuple[float, str]]] = defaultdict(list)
    for event in sorted(operators, key=lambda e: (e["ts"], -e["dur"])):
        around = ends[event["tid"]]
        while around and around[-1][0] <= event["ts"]:
            around.pop()
        if around:
            own[around[-1][1]] -= event["dur"]
        own[event["name"]] += event["dur"]
        around.append((event["ts"] + event["dur"], event["name"]))
    return own


@pytest.mark.parametrize("with_stack", [False, True])
def test_operators_of_a_cpu_trace_are_the_sums_over_its_events(
    tmp_path: Path, with_stack: bool
) -> None:
    path = cpu_trace(tmp_path / "here_1.pt.trace.json.gz", with_stack=with_stack)
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    operators = [event for event in events if event.get("cat") == "cpu_op"]
    table = read_with_plugin(path).operators
    assert table["calls"].to_dict() == Counter(event["name"] for event in operators)
    assert table.loc["aten::addmm", "calls"] == 6
    assert table["host_self_us"].to_dict() == pytest.approx(_own_times(operators), abs=0.1)
    totals: dict[str, float] = defaultdict(float)
    for event in operators:
        totals[event["name"]] += event["dur"]
    assert table["host_total_us"].to_dict() == pytest.approx(totals, abs=0.1)
    assert table["host_self_us"].is_monotonic_decreasing


def test_operators_of_a_cpu_trace_are_those_of_our_own_reader(recorded: Path) -> None:
    plugin = read_with_plugin(recorded).operators
    ours = kernel_table(read_trace(recorded)).set_index("name")
    assert len(ours) > 20
    assert ours["calls"].to_dict() == plugin["calls"].to_dict()
    assert ours["total_us"].to_dict() == pytest.approx(plugin["host_self_us"].to_dict(), abs=0.05)
    step = attribute(read_trace(recorded)).total_us
    assert 3 * step == pytest.approx(plugin["host_self_us"].sum(), abs=0.1)


def test_a_cpu_trace_has_its_steps_and_no_device(recorded: Path) -> None:
    tables = read_with_plugin(recorded)
    assert list(tables.overview.index) == ["2", "3", "4"]
    assert tuple(tables.overview.columns) == ROLES
    assert (tables.overview["CpuOp"] > 0).all()
    assert not tables.overview[["Kernel", "Memcpy", "Memset", "Runtime"]].any(axis=None)
    parts = tables.overview.drop(columns="Total").sum(axis=1)
    assert parts.to_list() == pytest.approx(tables.overview["Total"].to_list())
    assert (tables.kernels, tables.devices, tables.notes) == (None, None, ())


def test_kernels_count_for_the_operators_that_launched_them(gpu: PluginTables) -> None:
    device = gpu.operators[["device_self_us", "device_total_us"]]
    assert device.T.to_dict("list") == {"aten::mm": [30, 30], "aten::relu": [10, 10]}
    assert gpu.kernels is not None
    assert gpu.kernels["total_us"].to_dict() == {"gemm": 30, "relu": 10}
    assert gpu.kernels["occupancy_pct"].to_dict() == {"gemm": 40, "relu": 80}
    assert gpu.notes == ()


def test_each_moment_of_a_step_counts_once(gpu: PluginTables) -> None:
    expected = dict.fromkeys(ROLES, 0.0)
    expected |= {"Kernel": 40, "Runtime": 5, "CpuOp": 5, "Other": 50, "Total": 100}
    # One step: the device's annotation of the same name is none.
    assert gpu.overview.to_dict("index") == {"3": expected}


def test_a_device_is_busy_efficient_and_occupied_in_per_cent(gpu: PluginTables) -> None:
    assert gpu.devices is not None
    assert gpu.devices.to_dict("index") == {
        0: {
            "utilization_pct": pytest.approx(40),
            "sm_efficiency_pct": pytest.approx((30 * 0.5 + 10) / 100 * 100),
            "occupancy_pct": pytest.approx((30 * 40 + 10 * 80) / 40),
        }
    }
    (advice,) = gpu.recommendations
    assert advice.startswith("GPU 0 has low utilization.")


def test_recommendations_are_plain_text() -> None:
    linked = 'You could <a href="https://x.org/?a=1&amp;b=2" target="_blank">try &amp; see</a>.'
    assert tb._plain(linked) == "You could try & see."


def test_kernels_that_name_no_operator_leave_its_times_missing(tmp_path: Path) -> None:
    events = gpu_events()
    for event in events:
        if event["cat"] in ("kernel", "cuda_runtime", "cuda_driver"):
            event["args"]["External id"] += 1000
    tables = read_with_plugin(write(tmp_path / "gpu.json", events))
    assert tables.operators[["device_self_us", "device_total_us"]].isna().all(axis=None)
    assert tables.operators["host_self_us"].to_dict() == {"aten::mm": 20, "aten::relu": 10}
    assert tables.kernels is not None
    assert tables.kernels["total_us"].sum() == 40
    (note,) = tables.notes
    assert "no kernel of this trace names an operator" in note


def test_what_a_trace_does_not_tell_of_its_kernels_is_missing(tmp_path: Path) -> None:
    events = gpu_events()
    for event in events:
        event["args"].pop("blocks per SM", None)
        event["args"].pop("est. achieved occupancy %", None)
    tables = read_with_plugin(write(tmp_path / "gpu.json", events))
    assert tables.kernels is not None
    assert tables.kernels[["blocks_per_sm", "occupancy_pct"]].isna().all(axis=None)
    assert tables.devices is not None
    assert tables.devices.loc[0, "utilization_pct"] == pytest.approx(40)
    assert tables.devices[["sm_efficiency_pct", "occupancy_pct"]].isna().all(axis=None)


def test_a_note_tells_which_steps_the_plugin_leaves_out(tmp_path: Path) -> None:
    later = [event | {"ts": event["ts"] + 100} for event in gpu_events()]
    later = [event | {"name": event["name"].replace("#3", "#4")} for event in later]
    later = [e for e in later if e["cat"] in ("user_annotation", "cpu_op")]
    tables = read_with_plugin(write(tmp_path / "gpu.json", gpu_events() + later))
    assert list(tables.overview.index) == ["3"]
    assert tables.notes == ("the last 1 of 2 steps are not in the overview: they miss kernels",)


@needs_v100
def test_a_recorded_gpu_trace_has_device_times_by_operator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables = read_with_plugin(V100)
    assert tables.operators["device_self_us"].sum() == pytest.approx(472_460, abs=1)
    assert list(tables.overview.index) == ["101", "102", "103", "104", "105"]
    assert tables.kernels is not None
    assert tables.kernels["calls"].sum() == 4350
    assert tables.devices is not None
    assert tables.devices.notna().all(axis=None)
    assert tables.devices.gt(0).all(axis=None)
    assert tables.devices.le(100).all(axis=None)
    assert any("Automatic Mixed Precision" in text for text in tables.recommendations)
    assert tables.notes == ()
    # Without new names for the events the plugin finds nothing, which is then said.
    monkeypatch.setattr(tb, "RENAMED", {})
    tables = read_with_plugin(V100)
    assert tables.operators["device_self_us"].isna().all()
    assert len(tables.notes) == 1


def test_the_plugin_is_quiet_here_and_talks_again_after(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    events = gpu_events()
    events[2]["ts"] = 25  # across the end of the operator before
    path = write(tmp_path / "gpu.json", events)
    read_with_plugin(path)
    assert caplog.records == []
    logger = logging.getLogger("pytorch_profiler")
    assert not logger.disabled
    with pytest.raises(InputError):
        read_with_plugin(write(tmp_path / "bad.json", FAILS_IN_THE_PLUGIN))
    assert not logger.disabled


def test_no_process_is_started(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", refuse)
    monkeypatch.setattr(os, "fork", refuse)
    read_with_plugin(recorded)


def test_a_trace_that_is_not_compressed_reads_the_same(recorded: Path, tmp_path: Path) -> None:
    plain = tmp_path / "here_1.pt.trace.json"
    plain.write_bytes(gzip.decompress(recorded.read_bytes()))
    assert read_with_plugin(plain).operators.equals(read_with_plugin(recorded).operators)


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("packed", [True, False])
def test_a_file_that_is_cut_off(recorded: Path, tmp_path: Path, keep: float, packed: bool) -> None:
    content = recorded.read_bytes() if packed else gzip.decompress(recorded.read_bytes())
    path = tmp_path / "cut.pt.trace.json.gz"
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(InputError, match=r"cut\.pt\.trace\.json\.gz: no JSON, or cut off: "):
        read_with_plugin(path)


def test_a_compressed_file_that_is_spoilt(recorded: Path, tmp_path: Path) -> None:
    content = bytearray(recorded.read_bytes())
    content[-6] ^= 0xFF  # in the checksum
    path = tmp_path / "spoilt.json.gz"
    for spoilt in (content, gzip.compress(b"")[:10] + b"\xff" * 20):  # no such kind of block
        path.write_bytes(spoilt)
        with pytest.raises(InputError, match=r"spoilt\.json\.gz: "):
            read_with_plugin(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "no trace of torch.profiler"),
        ("3", "no trace of torch.profiler"),
        ("{}", "no trace of torch.profiler"),
        ('{"traceEvents": {"cat": "cpu_op"}}', "no trace of torch.profiler"),
        ('{"traceEvents": []}', "no trace of torch.profiler, or an empty one"),
        ('{"traceEvents": [1, null]}', "no trace of torch.profiler, or an empty one"),
        ('{"traceEvents": [{"ph": "X", "cat": "gc", "ts": 0, "dur": 1}]}', "or an empty one"),
        ("[" * 100_000, "no JSON"),
        ("\x00\xff", "no JSON"),
        (json.dumps({"traceEvents": FAILS_IN_THE_PLUGIN}), "cannot read it (TypeError"),
        (json.dumps({"traceEvents": [*FAILS_IN_THE_PLUGIN, 1]}), "cannot read it"),
    ],
)
def test_a_file_of_another_kind(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(InputError) as caught:
        read_with_plugin(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert told in str(caught.value)


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="it cannot be read"):
        read_with_plugin(tmp_path / name)


def test_without_the_package_the_way_to_it_is_told(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch_tb_profiler.profiler.data", None)
    with pytest.raises(InputError, match=r"pip install 'mtmm-bench\[tensorboard\]'"):
        read_with_plugin(recorded)
