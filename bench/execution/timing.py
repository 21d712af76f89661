"""Bring timing blocks into the store: alone on the machine, each in a process of its own."""

from __future__ import annotations

import time

import torch

from bench.cell import TimingBlock
from bench.errors import InputError
from bench.execution.isolated import ProcessDiedError, call_isolated
from bench.execution.locks import Machine, UnitLock
from bench.execution.unit import time_block
from bench.plugins import importable, own_components
from bench.progress import Progress
from bench.store import Record, Store

_POLL_S = 1.0


def time_missing(
    block: TimingBlock,
    store: Store,
    device: torch.device,
    progress: Progress,
    environment_name: str,
) -> int:
    """Time the block where one of its records is missing; the number of records made.

    Ratios hold only within one block, so all of its arms are timed again together. Where another
    run times it, its records are waited for.
    """
    if store.has_block(block):
        return 0
    what = f"{block.mode} at batch size {block.batch_size}"
    lock = UnitLock(store.locks, block.id)
    with progress.stage(f"time {what}, {len(block.arms)} arms", 1) as stage:
        while not lock.acquire(f"timing: {what}"):
            time.sleep(_POLL_S)
        try:
            if store.has_block(block):
                stage.ended(what, "done by another run")
                return 0
            stage.started(what)
            with Machine().timing():
                records = _time(block, device)
            for arm, record in zip(block.arms, records, strict=True):
                store.write(block.record_id(arm), {**record, "environment": environment_name})
            stage.ended(what, "done")
        finally:
            lock.release()
    return len(block.arms)


def _time(block: TimingBlock, device: torch.device) -> list[Record]:
    """Time a block in a process of its own, or in this one where no other has its components."""
    own = own_components(block)
    if not importable(own):
        return time_block(block, str(device))
    try:
        records: list[Record] = call_isolated(time_block, block, str(device), own)
    except ProcessDiedError as error:
        return [_lost(block, f"the timing process died: {error}") for _ in block.arms]
    except InputError as error:
        return [_lost(block, str(error)) for _ in block.arms]
    return records


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
