"""Run a suite: plan, train what is missing, time, keep records and write the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from bench import environment
from bench.cell import TimingBlock, TrainCell
from bench.errors import InputError
from bench.execution.inline import run_inline
from bench.execution.isolated import ProcessDiedError, call_isolated
from bench.execution.unit import time_block
from bench.planning import Plan
from bench.plugins import importable, own_components
from bench.progress import Progress
from bench.store import MANIFEST_VERSION, Record, Store, write_json
from bench.variant import description_of
from mtmm.heads import HEADS


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: how many units were run, how many there already, and those that failed."""

    ran: int
    reused: int
    failed: tuple[tuple[str, str], ...]
    """Label of every unit that did not end `ok`, and the reason with its record's file."""


def run_plan(plan: Plan, store: Store, device: torch.device, progress: Progress) -> Outcome:
    """Bring every unit of the plan into the store; the suite's manifest says which are its own."""
    name = store.write_environment(environment.describe(device))
    cells = plan.cells(device.type)
    blocks = plan.blocks(environment.device_name(device))
    write_manifest(plan, store, cells, blocks)
    trained = _train_missing(cells, store, device, progress, name)
    timed = sum(_time_missing(block, store, device, progress, name) for block in blocks)
    units = _labelled_units(plan, cells, blocks)
    reused = len(set(units.values())) - trained - timed
    return Outcome(trained + timed, reused, _failed(units, store))


def write_manifest(
    plan: Plan,
    store: Store,
    cells: Mapping[tuple[str, int], TrainCell],
    blocks: list[TimingBlock],
) -> None:
    """Say which records belong to which variant of the suite."""
    arms = plan.arms()
    manifest = {
        "schema_version": MANIFEST_VERSION,
        "suite": plan.suite.name,
        "question": plan.suite.question,
        "baseline": plan.baseline,
        "single_task": plan.single_task,
        "command": environment.command(),
        "skips": [{"variant": skip.name, "reason": skip.reason} for skip in plan.skips],
        "metrics": _metrics(plan),
        "variants": [
            {
                "name": variant.name,
                "compared": variant.name in arms,
                "config": variant.config,
                "train": [
                    {"seed": seed, "record": cells[variant.name, seed].id}
                    for seed in plan.suite.seeds
                ],
                "time": [
                    block.record_id(arms[variant.name]) for block in blocks if variant.name in arms
                ],
            }
            for variant in (*plan.variants, *plan.twins)
        ],
    }
    write_json(store.suite_folder(plan.suite.name) / "manifest.json", manifest)


def _metrics(plan: Plan) -> dict[str, dict[str, Any]]:
    """The directed metrics of all tasks, a kind's primary one first: reports need no plugin."""
    metrics: dict[str, dict[str, Any]] = {}
    for variant in plan.variants:
        for task in description_of(variant.config).tasks:
            objective = HEADS[task.kind].objective
            for name in (objective.primary, *objective.metrics):
                metrics.setdefault(name, asdict(objective.metrics[name]))
    return metrics


def _train_missing(
    cells: Mapping[tuple[str, int], TrainCell],
    store: Store,
    device: torch.device,
    progress: Progress,
    environment_name: str,
) -> int:
    labels = {cell.id: f"{name} seed {seed}" for (name, seed), cell in cells.items()}
    missing = {c.id: c for c in cells.values() if store.read(c.id) is None}
    with progress.stage("train", len(missing)) as advance:
        for cell, record in run_inline(missing.values(), device):
            store.write(cell.id, {**record, "environment": environment_name})
            advance(labels[cell.id], _told(record))
    return len(missing)


def _time_missing(
    block: TimingBlock,
    store: Store,
    device: torch.device,
    progress: Progress,
    environment_name: str,
) -> int:
    """Time the block where one of its records is missing: ratios hold only within one block."""
    if store.has_block(block):
        return 0
    identities = [block.record_id(arm) for arm in block.arms]
    what = f"{block.mode} at batch size {block.batch_size}"
    with progress.stage(f"time {what}, {len(block.arms)} arms", 1) as advance:
        try:
            records = _time(block, device)
        except ProcessDiedError as error:
            records = [_lost(block, f"the timing process died: {error}") for _ in block.arms]
        except InputError as error:
            records = [_lost(block, str(error)) for _ in block.arms]
        for identity, record in zip(identities, records, strict=True):
            store.write(identity, {**record, "environment": environment_name})
        advance(what, "done")
    return len(identities)


def _time(block: TimingBlock, device: torch.device) -> list[Record]:
    """Time a block in a process of its own, or in this one where no other has its components."""
    own = own_components(block)
    if importable(own):
        records: list[Record] = call_isolated(time_block, block, str(device), own)
        return records
    return time_block(block, str(device))


def _lost(block: TimingBlock, reason: str) -> Record:
    return {
        "kind": "time",
        "block": block.id,
        "mode": block.mode,
        "batch_size": block.batch_size,
        "device_name": block.device_name,
        "status": "error",
        "reason": reason,
        "summary": {},
    }


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


def _failed(units: Mapping[str, str], store: Store) -> tuple[tuple[str, str], ...]:
    failed = []
    for label, identity in units.items():
        record = store.read(identity) or {"status": "error", "reason": "it cannot be read"}
        if record["status"] != "ok":
            reason = f"{record['status']}: {record['reason']} ({store.path(identity)})"
            failed.append((label, reason))
    return tuple(failed)


def _told(record: Mapping[str, Any]) -> str:
    if record["status"] != "ok":
        return f"{record['status']}: {record['reason']}"
    return f"score {100 * record['scores']['test']:.1f} % in {record['seconds']:.1f} s"
