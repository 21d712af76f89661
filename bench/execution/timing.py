"""Bring timing blocks into the store: alone on the machine, each in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bench.cell import TimingArm, TimingBlock
from bench.errors import InputError
from bench.execution.isolated import ProcessDiedError, ProcessHangsError, call_isolated
from bench.execution.locks import Machine, UnitLock
from bench.execution.run import FailFastError, Run
from bench.execution.unit import time_block
from bench.plugins import importable, own_components
from bench.progress import Progress, Stage
from bench.records import Record

_POLL_S = 1.0
_BUILDING_S = 600.0  # for one turn of an arm to be built, to compile and to warm up
_TRIES = 2


@dataclass
class Timing:
    """One run's timing of missing blocks.

    `left_out` says of arms, by identity, why they are not timed: none of their cells could be
    trained.
    """

    run: Run
    progress: Progress
    left_out: Mapping[str, str]

    def time(self, block: TimingBlock) -> None:
        """Time the block where one of its records is missing.

        Ratios hold only within one block, so all of its arms are timed again together. Where
        another run times it, its records are waited for. Raises FailFastError.
        """
        if self._is_there(block):
            return
        what = f"{block.mode} at batch size {block.batch_size}"
        with self.progress.stage(f"time {what}, {len(block.arms)} arms", 1) as stage:
            lock = UnitLock(self.run.store.locks, block.id)
            try:
                self._wait_for(lock, what, stage)
                told = self._bring(block, what, stage)
            except OSError as error:
                for arm in block.arms:
                    self.run.lose(block.record_id(arm), error)
                told = f"not timed: {error}"
            finally:
                lock.release()
            stage.ended(what, told)
        failures = [f for arm in block.arms if (f := self.run.failure(block.record_id(arm)))]
        if failures and self.run.options.fail_fast:
            raise FailFastError(f"timing: {what}: {failures[0]}")

    def _is_there(self, block: TimingBlock) -> bool:
        """Whether no record is missing, to be replaced, or of an arm that can be timed by now."""
        for arm in block.arms:
            identity = block.record_id(arm)
            record = self.run.store.read(identity)
            if record is None or self.run.is_to_replace(identity):
                return False
            if record.get("left_out") and arm.id not in self.left_out:
                return False
        return True

    def _wait_for(self, lock: UnitLock, what: str, stage: Stage) -> None:
        if lock.acquire(f"timing: {what}"):
            return
        stage.note(f"waiting: another run times {what}")
        while not lock.acquire(f"timing: {what}"):
            time.sleep(_POLL_S)

    def _bring(self, block: TimingBlock, what: str, stage: Stage) -> str:
        """Time the block, whose lock is ours, and keep its records; how it went."""
        if self._is_there(block):
            return "done by another run"
        stage.started(what)
        with Machine().timing(lambda: stage.note("waiting: other runs on this machine work")):
            records = self._time(block)
        log = self.run.store.log(block.id)
        for arm, record in zip(block.arms, records, strict=True):
            self.run.keep(block.record_id(arm), record, log)
        failed = sum(bool(self.run.failure(block.record_id(arm))) for arm in block.arms)
        if not failed and log.exists() and not log.stat().st_size:
            log.unlink(missing_ok=True)
        return f"{failed} of {len(block.arms)} arms failed" if failed else "done"

    def _time(self, block: TimingBlock) -> list[Record]:
        """The records of a block's arms.

        An arm that ends or hangs its process is out; the others are timed once more without it.
        """
        records = {
            arm.id: _untimed(block, arm, "skipped", self.left_out[arm.id]) | {"left_out": True}
            for arm in block.arms
            if arm.id in self.left_out
        }
        reason = ""
        for _ in range(_TRIES):
            arms = tuple(arm for arm in block.arms if arm.id not in records)
            if not arms:
                break
            at_work = _AtWork(self.run.data / f"{block.id}.arm")
            try:
                made = self._call(replace(block, arms=arms), at_work)
            except (ProcessDiedError, ProcessHangsError) as error:
                hangs = isinstance(error, ProcessHangsError)
                reason = f"the timing process {'hung' if hangs else 'died'}: {error}"
                culprit = next((arm for arm in arms if arm.id == at_work.key()), None)
                status = "timeout" if hangs else "error"
                if culprit is None:
                    return _all(block, records, status, reason)
                records[culprit.id] = _untimed(block, culprit, status, reason)
            except InputError as error:
                return _all(block, records, "error", str(error))
            except (Exception, SystemExit) as error:
                return _all(block, records, "error", f"{type(error).__name__}: {error}")
            else:
                made = [{**record, "block": block.id} for record in made]
                records |= {arm.id: record for arm, record in zip(arms, made, strict=True)}
        return _all(block, records, "error", f"not timed beside another arm: {reason}")

    def _call(self, block: TimingBlock, at_work: _AtWork) -> list[Record]:
        """Time in a process of its own, or in this one where no other has its components."""
        own, device = own_components(block), str(self.run.options.device)
        if not importable(own):
            return time_block(block, device)
        log = self.run.store.log(block.id)
        log.parent.mkdir(parents=True, exist_ok=True)
        at_work.path.unlink(missing_ok=True)
        records: list[Record] = call_isolated(
            time_block,
            block,
            device,
            own,
            at_work,
            folder=self.run.data,
            log=log,
            silence_s=longest_turn_s(block, self.run.options.timeout_s),
            sign=at_work.path,
        )
        return records


def longest_turn_s(block: TimingBlock, timeout_s: float | None) -> float:
    """After how long without a new turn of an arm the process of a block counts as hung."""
    return 2 * block.budget_s + max(_BUILDING_S, timeout_s or 0.0)


@dataclass(frozen=True, slots=True)
class _AtWork:
    """The arm at which a timing process is, kept in a file that outlives the process."""

    path: Path

    def __call__(self, key: str) -> None:
        with suppress(OSError):
            self.path.write_text(key, encoding="utf-8")

    def key(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8")
        except OSError:
            return ""


def _all(
    block: TimingBlock, records: Mapping[str, Record], status: str, reason: str
) -> list[Record]:
    """A record for each arm: those that lack one share a reason."""
    return [records.get(arm.id) or _untimed(block, arm, status, reason) for arm in block.arms]


def _untimed(block: TimingBlock, arm: TimingArm, status: str, reason: str) -> Record:
    return {
        "kind": "time",
        "config": arm.config,
        "block": block.id,
        "mode": block.mode,
        "batch_size": block.batch_size,
        "device_name": block.device_name,
        "status": status,
        "reason": reason,
        "summary": {},
    }
