"""One unit of work to its record: whatever happens inside becomes a status and a reason."""

from __future__ import annotations

import gc
import json
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from bench.cell import TimingArm, TimingBlock, TrainCell
from bench.execution.shared import shared_data
from bench.failure import status_of
from bench.plugins import load_again
from bench.timing.block import Arm, ArmSamples, run_block, summarise
from bench.timing.clock import clock_for
from bench.timing.sampler import Workload, rules_for
from bench.timing.workload import WORKLOADS, first_batch, measure_cost
from bench.training import DivergedError, threads, train
from mtmm.components import Registration
from mtmm.data import DATASETS
from mtmm.data.base import Dataset
from mtmm.registry import settings_in
from mtmm.spec import DataBundle

Record = dict[str, Any]


def run_cell(
    cell: TrainCell,
    device: torch.device,
    *,
    data: Path | None = None,
    checkpoint: Path | None = None,
) -> Record:
    """Train one cell; its record says `ok`, `diverged`, `oom` or `error`.

    `data` is a folder of data sets that are shared with other processes; `checkpoint` the file
    from which the cell goes on, and where it keeps how far it is if its settings ask for that.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    outcome: Record
    try:
        bundle = build_data(cell.config, device, data)
        result = train(cell.config, bundle, seed=cell.seed, device=device, checkpoint=checkpoint)
        outcome = {"status": "ok", "reason": "", **result}
    except DivergedError as error:
        outcome = {"status": "diverged", "reason": str(error)}
    except Exception as error:
        outcome = {
            "status": status_of(error),
            "reason": f"{type(error).__name__}: {error}",
            "traceback": traceback.format_exc(),
        }
    return {
        "kind": "train",
        "started": started,
        "config": cell.config,
        "seed": cell.seed,
        "data": cell.fingerprint,
        **outcome,
    }


def time_block(
    block: TimingBlock, device_text: str, own: Sequence[Registration] = ()
) -> list[Record]:
    """Time a block; one record for each of its arms, in order.

    `own` are the components that a new process has to register first; InputError if it cannot.
    """
    load_again(own)
    device = torch.device(device_text)
    with threads(torch.get_num_threads()):  # each turn sets its arm's own
        rules = rules_for(device).within(1e3 * block.budget_s, len(block.arms))
        arms = [Arm(arm.id, _builder(block, arm, device)) for arm in block.arms]
        started = datetime.now(UTC).isoformat(timespec="seconds")
        with _old_objects_left_alone():
            measured = run_block(arms, clock=clock_for(device), rules=rules, device=device)
        return [
            {
                "kind": "time",
                "started": started,
                "config": arm.config,
                "block": block.id,
                "mode": block.mode,
                "batch_size": block.batch_size,
                "device_name": block.device_name,
                "status": samples.status,
                "reason": samples.reason,
                "summary": summarise(samples),
                "samples": samples.to_dict(),
                **_cost(samples, build.build, device),
            }
            for arm, build, samples in zip(block.arms, arms, measured, strict=True)
        ]


@contextmanager
def _old_objects_left_alone() -> Iterator[None]:
    """Collections, of which every turn has two, look at new objects only.

    PyTorch's modules alone are some hundred thousand; going through them takes a tenth of a second.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def build_data(
    config: Mapping[str, Any], device: torch.device, shared: Path | None = None
) -> DataBundle:
    """The data of a resolved variant, on the device; `shared` as `data` in `run_cell`."""
    if shared is not None:
        bundle = shared_data(config["dataset"], shared).to(device)
        return bundle.select(config["modalities"], config["tasks"])
    dataset = DATASETS[config["dataset"]["name"]]
    settings = json.dumps(settings_in(config["dataset"]), sort_keys=True)
    bundle = _whole_data(dataset, settings, str(device))
    return bundle.select(config["modalities"], config["tasks"])


@lru_cache(maxsize=1)
def _whole_data(dataset: Dataset, settings: str, device: str) -> DataBundle:
    # The cells of a suite mostly share their data; one set is kept between them.
    return dataset(**json.loads(settings)).to(torch.device(device))


def _builder(block: TimingBlock, arm: TimingArm, device: torch.device) -> Callable[[], Workload]:
    def build() -> Workload:
        torch.set_num_threads(arm.config["train"]["threads"])
        bundle = build_data(arm.config, device)
        batch = first_batch(bundle, block.batch_size)
        return WORKLOADS[block.mode](arm.config, bundle, batch)

    return build


def _cost(samples: ArmSamples, build: Callable[[], Workload], device: torch.device) -> Record:
    """Memory and FLOPs of an arm that was timed; where they cannot be had, why not."""
    if samples.status != "ok":
        return {}
    try:
        return {"cost": measure_cost(build(), device)}
    except Exception as error:
        return {"reason": f"timed, but no memory and FLOPs: {type(error).__name__}: {error}"}
