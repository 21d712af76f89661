"""Bring profiles into the store: each variant alone on the machine, in a process of its own."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bench.cell import ProfileUnit, components_of
from bench.errors import InputError
from bench.execution.isolated import ProcessDiedError, ProcessHangsError, call_isolated
from bench.execution.locks import Machine
from bench.execution.run import Run
from bench.execution.unit import build_data
from bench.failure import reason_of, status_of
from bench.numerics import check_device, restored
from bench.plugins import importable, load_again, own_of
from bench.profiling.memory import CPU, CUDA, memory_by_part, memory_timeline
from bench.profiling.session import record_memory, record_snapshot, record_trace
from bench.profiling.summary import summarise
from bench.profiling.trace import read_trace
from bench.progress import Progress
from bench.records import Record
from bench.step import TrainStep
from bench.timing.workload import first_batch
from bench.training import build_step, threads
from mtmm.components import Registration
from mtmm.spec import Batch

_SILENCE_S = 1200.0  # after which the process of a profile counts as hung
_LONGEST = 60  # letters of a folder; file systems take 255 bytes


@dataclass
class Profiling:
    """One run's profiles of variants; traces go below `folder`, into one folder a variant.

    With `snapshots`, which takes a CUDA device, each has a memory snapshot beside it.
    """

    run: Run
    progress: Progress
    folder: Path
    snapshots: bool = False

    def profile(self, units: Mapping[str, ProfileUnit]) -> None:
        """Profile the variants that lack a record, or the files that go with it."""
        missing = {name: unit for name, unit in units.items() if not self._is_there(name, unit)}
        with self.progress.stage("profile", len(missing)) as stage:
            for name, unit in missing.items():
                stage.started(name)
                with Machine().timing(
                    lambda: stage.note("waiting: other runs on this machine work")
                ):
                    record = self._record(name, unit)
                self.run.keep(unit.id, record, self.run.store.log(unit.id))
                stage.ended(name, _told(record))

    def trace(self, name: str, unit: ProfileUnit) -> Path:
        """The file of a variant's trace, in a folder by its name as far as that can be one."""
        plain = re.sub(r"^\.|[^\w.=+-]", "_", name)
        if len(plain) > _LONGEST:
            plain = f"{plain[: _LONGEST - 9]}-{unit.id[:8]}"
        return self.folder / plain / f"{unit.id[:16]}.pt.trace.json.gz"

    def snapshot(self, name: str, unit: ProfileUnit) -> Path | None:
        """The file of a variant's memory snapshot, beside its trace; None where none is asked."""
        path = self.trace(name, unit).with_name(f"{unit.id[:16]}.memory.pickle")
        return path if self.snapshots else None

    def _is_there(self, name: str, unit: ProfileUnit) -> bool:
        record = self.run.store.read(unit.id)
        if record is None or self.run.is_to_replace(unit.id):
            return False
        files = self.trace(name, unit), self.snapshot(name, unit)
        return record["status"] != "ok" or all(file is None or file.exists() for file in files)

    def _record(self, name: str, unit: ProfileUnit) -> Record:
        own = own_of(components_of(unit.arm.config))
        snapshot = self.snapshot(name, unit)
        given = (
            unit,
            str(self.run.options.device),
            self.trace(name, unit).absolute(),
            None if snapshot is None else snapshot.absolute(),
        )
        try:
            if not importable(own):
                return profile_unit(*given)
            log = self.run.store.log(unit.id)
            log.parent.mkdir(parents=True, exist_ok=True)
            made: Record = call_isolated(
                profile_unit, *given, own, folder=self.run.data, log=log, silence_s=_SILENCE_S
            )
            return made
        except (ProcessDiedError, ProcessHangsError) as error:
            return _record_of(unit, "error", f"the profiling process: {error}")
        except InputError as error:
            return _record_of(unit, "error", str(error))


def profile_unit(
    unit: ProfileUnit,
    device_text: str,
    trace: Path,
    snapshot: Path | None = None,
    own: Sequence[Registration] = (),
) -> Record:
    """Profile a variant into the file `trace`, and `snapshot` for its memory; its record.

    `own` are the components that a new process has to register first; InputError if it cannot.
    """
    load_again(own)
    device, config = torch.device(device_text), unit.arm.config
    about = {"record": unit.id, "config": config, "batch_size": unit.batch_size}
    try:
        check_device(config["numerics"], device)
        with threads(config["train"]["threads"]), restored():
            bundle = build_data(config, device)
            batch = first_batch(bundle, unit.batch_size).to(device)
            step = build_step(config, bundle, seed=0, device=device)
            overhead = record_trace(step, batch, trace, about)
            memory = _memory(step, batch)
            if snapshot is not None:
                record_snapshot(step, batch, snapshot)
        told = summarise(read_trace(trace))
    except Exception as error:
        return _record_of(unit, status_of(error), reason_of(error))
    return {
        **_record_of(unit, "ok", ""),
        "overhead": overhead,
        **memory,
        "summary": {**told, "trace": f"{trace.parent.name}/{trace.name}"},
    }


def _memory(step: TrainStep, batch: Batch) -> dict[str, Any]:
    """The fields `memory` and `memory_timeline`, as the functions of `bench.profiling.memory` say.

    They are of the device that the batch is on.
    """
    device = CUDA if batch.device.type == "cuda" else CPU
    with tempfile.TemporaryDirectory(prefix="mtmm-bench-") as folder:
        path = Path(folder) / "memory.pt.trace.json"
        record_memory(step, batch, path)
        trace = read_trace(path)
    return {
        "memory": memory_by_part(trace, device),
        "memory_timeline": memory_timeline(trace, device),
    }


def _record_of(unit: ProfileUnit, status: str, reason: str) -> Record:
    return {
        "kind": "profile",
        "config": unit.arm.config,
        "batch_size": unit.batch_size,
        "device_name": unit.device_name,
        "status": status,
        "reason": reason,
    }


def _told(record: Record) -> str:
    if record["status"] != "ok":
        return f"{record['status']}: {record['reason']}"
    return f"{100 * record['summary']['unattributed_share']:.1f} % not attributed"
