"""Bring train cells into the store: who works on what, when, on which device."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bench.cell import TrainCell, components_of
from bench.execution.inline import Inline
from bench.execution.locks import Machine, UnitLock
from bench.execution.pool import Pool
from bench.execution.worker import Job
from bench.plugins import importable, own_of
from bench.progress import Stage
from bench.store import Store

_POLL_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a plan is run, apart from what it says.

    Cells are spread over `devices`; the first one times. `workers` is the number of cells at a
    time: None as many as the cores hold (one a GPU), 0 one after another in this process.
    `timeout_s` bounds one cell. `fail_fast` ends the run with the first unit that fails.
    """

    devices: tuple[torch.device, ...]
    workers: int | None = None
    timeout_s: float | None = None
    retry_failed: bool = False
    fail_fast: bool = False

    @property
    def device(self) -> torch.device:
        """The device of timing, and the kind of all."""
        return self.devices[0]


class FailFastError(RuntimeError):
    """A unit failed, and the run was asked to end with the first."""


@dataclass
class Training:
    """One run's training of missing cells; `labels` names each by its identity."""

    store: Store
    options: Options
    labels: Mapping[str, str]
    stage: Stage
    environment: str
    trained: int = 0
    unwritten: dict[str, str] = field(default_factory=dict)
    """Cells whose record could not be kept, and why."""

    def run(self, cells: Sequence[TrainCell]) -> None:
        """Train the cells that no other run trains, and wait for those that one does."""
        if not cells:
            return
        own = own_of(component for cell in cells for component in components_of(cell.config))
        inline = self.options.workers == 0 or not importable(own)
        slots = _slots(cells, self.options, inline)
        pool = Inline() if inline else Pool(timeout_s=self.options.timeout_s)
        machine, locks = Machine(), dict[str, UnitLock]()
        pending = {cell.id: cell for cell in cells}
        with tempfile.TemporaryDirectory(prefix="mtmm-bench-") as data, ExitStack() as stack:
            stack.callback(self._give_up, locks)
            stack.callback(pool.stop)
            while pending or len(pool):
                with _training(machine, self.stage):
                    self._while_free(pending, locks, pool, slots, machine, Path(data), own)
                if pending:
                    time.sleep(_POLL_S)  # what is left is another run's

    def _while_free(
        self,
        pending: dict[str, TrainCell],
        locks: dict[str, UnitLock],
        pool: Pool | Inline,
        slots: list[str],
        machine: Machine,
        data: Path,
        own: Any,
    ) -> None:
        """Start and finish cells until none runs: all are done, or another run wants to time."""
        while True:
            while slots and not machine.timing_is_wanted():
                cell = self._take(pending, locks)
                if cell is None:
                    break
                job = Job(
                    cell=cell,
                    device=slots.pop(0),
                    data=data,
                    checkpoint=self.store.checkpoint(cell.id).absolute(),
                    log=self.store.log(cell.id).absolute(),
                    own=own,
                )
                self.stage.started(self.labels[cell.id])
                pool.start(job)
            if not len(pool):
                return
            for job, record in pool.finished(_POLL_S):
                slots.append(job.device)
                self._keep(job, record)
                locks.pop(job.cell.id).release()
                if record["status"] != "ok" and self.options.fail_fast:
                    raise FailFastError(f"{self.labels[job.cell.id]}: {record['reason']}")

    def _take(self, pending: dict[str, TrainCell], locks: dict[str, UnitLock]) -> TrainCell | None:
        """A cell that nobody else works on, locked; what others have finished is dropped."""
        for identity, cell in list(pending.items()):
            lock = UnitLock(self.store.locks, identity)
            if not lock.acquire(self.labels[identity]):
                continue
            del pending[identity]
            if self.store.has(identity):
                lock.release()
                self.stage.ended(self.labels[identity], "trained by another run")
                continue
            locks[identity] = lock
            return cell
        return None

    def _keep(self, job: Job, record: dict[str, Any]) -> None:
        identity, label = job.cell.id, self.labels[job.cell.id]
        if record["status"] != "ok" and job.log.exists():
            record = {**record, "log": f"logs/{job.log.name}"}
        try:
            self.store.write(identity, {**record, "environment": self.environment})
        except OSError as error:
            self.unwritten[identity] = f"its record could not be written: {error}"
        self.trained += 1
        if record["status"] == "ok" and job.log.exists() and not job.log.stat().st_size:
            job.log.unlink(missing_ok=True)
        self.stage.ended(label, self.unwritten.get(identity) or _told(record))

    def _give_up(self, locks: dict[str, UnitLock]) -> None:
        for lock in locks.values():
            lock.release()


@contextmanager
def _training(machine: Machine, stage: Stage) -> Iterator[None]:
    if machine.timing_is_wanted():
        stage.note("waiting: another run on this machine is timing")
    with machine.training():
        yield


def _slots(cells: Sequence[TrainCell], options: Options, inline: bool) -> list[str]:
    """The device of each cell that may run at a time."""
    devices = [str(device) for device in options.devices]
    if inline:
        return devices[:1]
    count = options.workers
    if count is None and options.device.type == "cpu":
        threads = max(cell.config["train"]["threads"] for cell in cells)
        count = max(1, len(os.sched_getaffinity(0)) // threads)
    count = min(len(devices) if count is None else count, len(cells))
    return [devices[i % len(devices)] for i in range(count)]


def _told(record: Mapping[str, Any]) -> str:
    if record["status"] != "ok":
        return f"{record['status']}: {record['reason']}"
    return f"score {100 * record['scores']['test']:.1f} % in {record['seconds']:.1f} s"
