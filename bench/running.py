"""Run a suite: train what is missing, time, keep records; what is there is not run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench import environment
from bench.cell import TimingBlock, TrainCell
from bench.execution.timing import time_missing
from bench.execution.training import FailFastError, Options, Training
from bench.manifest import write_manifest
from bench.planning import Plan
from bench.progress import Progress
from bench.store import Store


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: how many units were run, how many there already, and those that failed."""

    ran: int
    reused: int
    failed: tuple[tuple[str, str], ...]
    """Label of every unit that did not end `ok`, and the reason with its record's file."""
    stopped: str = ""
    """Why the run ended before its end, if it did."""


def run_plan(plan: Plan, store: Store, options: Options, progress: Progress) -> Outcome:
    """Bring every unit of the plan into the store; the suite's manifest says which are its own."""
    name = store.write_environment(environment.describe(options.device))
    cells = plan.cells(options.device.type)
    blocks = plan.blocks(environment.device_name(options.device))
    units = _labelled_units(plan, cells, blocks)
    if options.retry_failed:
        _set_failed_aside(units, store)
    write_manifest(plan, store, cells, blocks)
    missing = list({c.id: c for c in cells.values() if not store.has(c.id)}.values())
    labels = {cell.id: f"{name} seed {seed}" for (name, seed), cell in cells.items()}
    timed, stopped = 0, ""
    with progress.stage("train", len(missing)) as stage:
        training = Training(store, options, labels, stage, name)
        try:
            training.run(missing)
        except FailFastError as error:
            stopped = f"ended by the first failure (--fail-fast): {error}"
    if not stopped:
        for block in blocks:
            timed += time_missing(block, store, options.device, progress, name)
    ran = training.trained + timed
    failed = _failed(units, store, training.unwritten, stopped != "")
    return Outcome(ran, len(set(units.values())) - ran, failed, stopped)


def _labelled_units(
    plan: Plan, cells: Mapping[tuple[str, int], TrainCell], blocks: list[TimingBlock]
) -> dict[str, str]:
    """The identity of every unit; variants may share one."""
    units = {f"{name} seed {seed}": cell.id for (name, seed), cell in cells.items()}
    arms = plan.arms()
    for block in blocks:
        for name, arm in arms.items():
            label = f"{name} time {block.mode} at batch size {block.batch_size}"
            units[label] = block.record_id(arm)
    return units


def _set_failed_aside(units: Mapping[str, str], store: Store) -> None:
    for identity in dict.fromkeys(units.values()):
        record = store.read(identity)
        if record is not None and record["status"] != "ok":
            store.set_aside(identity, f"{record['status']}, to be tried again")


def _failed(
    units: Mapping[str, str], store: Store, unwritten: Mapping[str, str], cut_short: bool
) -> tuple[tuple[str, str], ...]:
    """Units without a record count only where the run was not cut short."""
    failed = []
    for label, identity in units.items():
        record = store.read(identity)
        if record is None:
            if not cut_short:
                failed.append((label, unwritten.get(identity, "error: its record is gone")))
        elif record["status"] != "ok":
            place = store.root / record["log"] if "log" in record else store.path(identity)
            failed.append((label, f"{record['status']}: {record['reason']} ({place})"))
    return tuple(failed)
