"""Bring train cells into the store: who works on what, when, on which device."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from bench.cell import TrainCell, components_of
from bench.execution.cores import cores
from bench.execution.inline import Inline
from bench.execution.locks import Machine, UnitLock
from bench.execution.pool import Pool
from bench.execution.run import FailFastError, Options, Run
from bench.execution.worker import Job
from bench.plugins import importable, own_of
from bench.progress import Stage
from bench.records import FINE
from bench.training import Watch

_POLL_S = 0.2


@dataclass
class Training:
    """One run's training of missing cells; `labels` names each by its identity.

    What `watch` has given up is kept under the identity that `name_pruned` gives to a cell's: no
    run takes it for the cell.
    """

    run: Run
    labels: Mapping[str, str]
    stage: Stage
    told: str = "test"
    """The split whose score is told of a cell that has finished."""
    watch: Watch | None = None
    name_pruned: Callable[[str], str] = str

    def train(self, cells: Sequence[TrainCell]) -> None:
        """Train the cells that no other run trains, and wait for those that one does."""
        if not cells:
            return
        own = own_of(component for cell in cells for component in components_of(cell.config))
        inline = self.run.options.workers == 0 or not importable(own)
        if inline and self.run.options.timeout_s is not None:
            self.stage.note("cells train in this process: --timeout does not hold for them")
        slots = _slots(cells, self.run.options, inline)
        pool = Inline() if inline else Pool(timeout_s=self.run.options.timeout_s)
        machine, locks = Machine(), dict[str, UnitLock]()
        pending = {cell.id: cell for cell in cells}
        to_time = _note(self.stage, "waiting: another run on this machine is timing")
        to_end = _note(self.stage, "waiting: another run trains the cells that are left")
        with ExitStack() as stack:
            stack.callback(self._give_up, locks)
            stack.callback(pool.stop)
            while pending or len(pool):
                with machine.training(to_time):
                    self._while_free(pending, locks, pool, slots, machine, own)
                if pending:
                    if not machine.timing_is_wanted():
                        to_end()
                    time.sleep(_POLL_S)

    def _while_free(
        self,
        pending: dict[str, TrainCell],
        locks: dict[str, UnitLock],
        pool: Pool | Inline,
        slots: list[str],
        machine: Machine,
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
                    data=self.run.data,
                    checkpoint=self.run.store.checkpoint(cell.id).absolute(),
                    kept=self.run.store.kept(cell.id).absolute(),
                    log=self.run.store.log(cell.id).absolute(),
                    own=own,
                    watch=self.watch,
                )
                self.stage.started(self.labels[cell.id])
                pool.start(job)
            if not len(pool):
                return
            for job, record in pool.finished(_POLL_S):
                slots.append(job.device)
                kept = self._keep(job, record)
                locks.pop(job.cell.id).release()
                failure = self.run.failure(kept)
                if failure and self.run.options.fail_fast:
                    raise FailFastError(f"{self.labels[job.cell.id]}: {failure}")

    def _take(self, pending: dict[str, TrainCell], locks: dict[str, UnitLock]) -> TrainCell | None:
        """A cell that nobody else works on, locked; what others have finished is dropped."""
        for identity, cell in list(pending.items()):
            lock, label = UnitLock(self.run.store.locks, identity), self.labels[identity]
            try:
                if not lock.acquire(label):
                    continue
                locks[identity] = lock
                self.run.set_aside(identity)
            except OSError as error:
                self.run.lose(identity, error)
                self.stage.ended(label, self.run.unwritten[identity])
                del pending[identity]
                self._release(locks, identity)
                continue
            del pending[identity]
            if self.run.store.has(identity) and not self.run.is_to_replace(identity):
                self._release(locks, identity)
                self.stage.ended(label, "trained by another run")
                continue
            return cell
        return None

    def _keep(self, job: Job, record: dict[str, Any]) -> str:
        """Write the record of a cell; the identity that it has."""
        identity = job.cell.id
        if record["status"] == "pruned":
            identity = self.name_pruned(identity)
        self.run.keep(identity, record, job.log)
        if record["status"] in FINE and job.log.exists() and not job.log.stat().st_size:
            job.log.unlink(missing_ok=True)
        told = self.run.unwritten.get(identity) or _told(record, self.told)
        self.stage.ended(self.labels[job.cell.id], told)
        return identity

    @staticmethod
    def _release(locks: dict[str, UnitLock], identity: str) -> None:
        lock = locks.pop(identity, None)
        if lock is not None:
            lock.release()

    def _give_up(self, locks: dict[str, UnitLock]) -> None:
        for lock in locks.values():
            lock.release()


def _note(stage: Stage, text: str) -> Callable[[], None]:
    """A call that notes the text the first time."""
    left = [text]

    def tell() -> None:
        if left:
            stage.note(left.pop())

    return tell


def _slots(cells: Sequence[TrainCell], options: Options, inline: bool) -> list[str]:
    """The device of each cell that may run at a time."""
    devices = [str(device) for device in options.devices]
    if inline:
        return devices[:1]
    count = options.workers
    if count is None and options.device.type == "cpu":
        threads = max(cell.config["train"]["threads"] for cell in cells)
        count = max(1, cores() // threads)
    count = min(len(devices) if count is None else count, len(cells))
    return [devices[i % len(devices)] for i in range(count)]


def _told(record: Mapping[str, Any], split: str) -> str:
    if record["status"] != "ok":
        return f"{record['status']}: {record['reason']}"
    score = 100 * record["scores"][split]
    where = "" if split == "test" else f" on {split}"
    return f"score {score:.1f} %{where} in {record['seconds']:.1f} s"
