"""Profiles of a plan's variants: made once, with their traces; failures are records."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from bench import environment
from bench.api import plan
from bench.cell import ProfileUnit
from bench.errors import InputError
from bench.execution import profiling
from bench.execution.isolated import ProcessDiedError, ProcessHangsError
from bench.execution.profiling import Profiling, profile_unit
from bench.execution.run import Options, Run
from bench.planning import Plan
from bench.profiling import session
from bench.profiling.session import METADATA
from bench.progress import Progress
from bench.records import Record
from bench.running import profile_plan
from bench.store import Store
from tests.bench.profiling.steps import IGNORED

pytestmark = pytest.mark.filterwarnings(IGNORED)

CPU = torch.device("cpu")


@pytest.fixture
def profiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The variants that are profiled: here, in this process, by one step."""
    made: list[str] = []

    def here(function: Callable[..., Any], unit: ProfileUnit, *given: Any, **_: Any) -> Any:
        made.append(unit.arm.config["model"]["sharing"]["name"])
        return function(unit, *given)

    monkeypatch.setenv("MTMM_BENCH_LOCKS", str(tmp_path))
    monkeypatch.setattr(profiling, "call_isolated", here)
    monkeypatch.setattr(session, "ACTIVE", 1)
    monkeypatch.setattr(session, "_PLAIN", 1)
    return made


@pytest.fixture
def planned(suite: dict[str, Any]) -> Plan:
    return plan(suite)


def go(
    planned: Plan, root: Path, *, retry_failed: bool = False, snapshots: bool = False
) -> dict[str, str]:
    options = Options(devices=(CPU,), retry_failed=retry_failed)
    progress = Progress(Console(), quiet=True)
    return profile_plan(planned, Store(root), options, progress, "profile", snapshots=snapshots)


def records(planned: Plan, root: Path) -> dict[str, Record]:
    units = planned.profiles(environment.device_name(CPU))
    found = {name: Store(root).read(unit.id) for name, unit in units.items()}
    return {name: record for name, record in found.items() if record is not None}


def traces(root: Path) -> dict[str, Path]:
    """The file in each folder of traces."""
    return {path.parent.name: path for path in (root / "small" / "traces").glob("*/*.gz")}


def test_what_was_profiled_is_not_profiled_again(
    planned: Plan, profiled: list[str], tmp_path: Path
) -> None:
    assert go(planned, tmp_path) == {}
    assert profiled == ["hard", "separate"]
    assert set(traces(tmp_path)) == {"hard", "separate"}
    made = records(planned, tmp_path)
    assert {record["status"] for record in made.values()} == {"ok"}
    assert all(
        (tmp_path / "small" / "traces" / record["summary"]["trace"]).exists()
        for record in made.values()
    )
    assert go(planned, tmp_path) == {}
    assert profiled == ["hard", "separate"]
    assert records(planned, tmp_path) == made


def test_a_trace_that_was_removed_is_made_again(
    planned: Plan, profiled: list[str], tmp_path: Path
) -> None:
    go(planned, tmp_path)
    traces(tmp_path)["separate"].unlink()
    go(planned, tmp_path)
    assert profiled == ["hard", "separate", "separate"]
    assert set(traces(tmp_path)) == {"hard", "separate"}


def test_a_snapshot_that_is_asked_for_and_lacks_is_made(
    planned: Plan, profiled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = lambda step, batch, path: path.write_bytes(b"made")  # noqa: E731
    monkeypatch.setattr(profiling, "record_snapshot", snapshot)
    go(planned, tmp_path)
    go(planned, tmp_path, snapshots=True)
    assert profiled == 2 * ["hard", "separate"]
    for trace in traces(tmp_path).values():
        name = trace.name.replace(".pt.trace.json.gz", ".memory.pickle")
        assert (trace.parent / name).read_bytes() == b"made"
    go(planned, tmp_path, snapshots=True)
    go(planned, tmp_path)
    assert profiled == 2 * ["hard", "separate"]


def test_a_trace_says_what_it_is_of(planned: Plan, profiled: list[str], tmp_path: Path) -> None:
    go(planned, tmp_path)
    units = planned.profiles(environment.device_name(CPU))
    for name, path in traces(tmp_path).items():
        about = json.loads(gzip.decompress(path.read_bytes()))[METADATA]
        assert about["record"] == units[name].id
        assert about["batch_size"] == 32
        assert about["config"]["model"]["sharing"]["name"] == name


def _raising(error: Exception) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


@pytest.mark.parametrize(
    ("place", "error", "reason"),
    [
        ("build_step", RuntimeError("no such layer"), "error: RuntimeError: no such layer"),
        ("build_step", torch.OutOfMemoryError("all gone"), "oom: "),
        (
            "call_isolated",
            ProcessDiedError("exit code 3"),
            "error: the profiling process: exit code 3",
        ),
        ("call_isolated", ProcessHangsError("silent"), "error: the profiling process: silent"),
        ("call_isolated", InputError("not as it was"), "error: not as it was"),
    ],
)
def test_a_variant_that_fails_is_a_record_with_its_reason(
    planned: Plan,
    profiled: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    error: Exception,
    reason: str,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(profiling, place, _raising(error))
        told = go(planned, tmp_path)
    assert set(told) == {"hard", "separate"}
    assert all(text.startswith(reason) for text in told.values())
    for record in records(planned, tmp_path).values():
        assert f"{record['status']}: {record['reason']}".startswith(reason)
    profiled.clear()
    assert set(go(planned, tmp_path)) == {"hard", "separate"}  # stays failed
    assert profiled == []
    assert go(planned, tmp_path, retry_failed=True) == {}
    assert profiled == ["hard", "separate"]


@pytest.mark.parametrize(
    "name",
    ["..", ".", "../../up", "/etc/passwd", "a\\b", "C:x", "new\nline", "a b*?", "ä" * 400, ".hid"],
)
def test_traces_of_oddly_named_variants_stay_in_their_folder(
    name: str, planned: Plan, tmp_path: Path
) -> None:
    folder = tmp_path / "traces"
    run = Run(Store(tmp_path), Options(devices=(CPU,)), "environment", tmp_path)
    unit = next(iter(planned.profiles("a CPU").values()))
    path = Profiling(run, Progress(Console(), quiet=True), folder).trace(name, unit)
    assert path.resolve().parent.parent == folder.resolve()
    assert not path.parent.name.startswith(".")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")


def test_long_names_that_begin_alike_have_folders_of_their_own(
    planned: Plan, tmp_path: Path
) -> None:
    run = Run(Store(tmp_path), Options(devices=(CPU,)), "environment", tmp_path)
    made = Profiling(run, Progress(Console(), quiet=True), tmp_path)
    units = planned.profiles("a CPU").values()
    paths = [made.trace("x" * 300 + unit.id, unit) for unit in units]
    assert len({path.parent for path in paths}) == 2


def test_a_device_that_a_variant_cannot_have_is_no_exception(
    planned: Plan, profiled: list[str], tmp_path: Path
) -> None:
    unit = planned.profiles("a CPU")["hard"]
    numerics = {**unit.arm.config["numerics"], "precision": "fp16"}
    arm = replace(unit.arm, config={**unit.arm.config, "numerics": numerics})
    record = profile_unit(replace(unit, arm=arm), "cpu", tmp_path / "a.json")
    assert record["status"] == "skipped"
    assert "CUDA" in record["reason"]
    assert "summary" not in record


def test_in_a_process_of_its_own(planned: Plan, tmp_path: Path) -> None:
    name = next(iter(planned.profiles("a CPU")))
    run = Run(Store(tmp_path), Options(devices=(CPU,)), "environment", tmp_path)
    unit = planned.profiles("a CPU")[name]
    made = Profiling(run, Progress(Console(), quiet=True), tmp_path / "traces")
    made.profile({name: unit})
    record = Store(tmp_path).read(unit.id)
    assert record is not None
    assert (record["status"], record["reason"]) == ("ok", "")
    assert record["summary"]["unattributed_share"] < 0.05
    assert made.trace(name, unit).exists()
    parts = record["memory_timeline"]["parts"]
    assert set(parts) == {row["part"] for row in record["memory"]}
    assert {len(held) for held in parts.values()} == {len(record["memory_timeline"]["ms"])}
