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
from bench.failure import reason_of, status_of
from bench.loading import resident
from bench.numerics import NeedsCudaError, check_device, restored
from bench.plugins import load_again
from bench.timing.block import Arm, give_back, run_block
from bench.timing.clock import clock_for
from bench.timing.reference import KEY, ReferenceWorkload
from bench.timing.sampler import rules_for
from bench.timing.samples import ArmSamples
from bench.timing.sensors import sensor_for
from bench.timing.summary import summarise
from bench.timing.workload import WORKLOADS, ModelWorkload, first_batch, measure_cost
from bench.training import DivergedError, PrunedError, Watch, threads, train
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
    kept: Path | None = None,
    watch: Watch | None = None,
) -> Record:
    """Train one cell; its record says `ok`, `diverged`, `pruned`, `oom`, `error` or `skipped`.

    `data` is a folder of data sets that are shared with other processes; `checkpoint` the file
    from which the cell goes on, and where it keeps how far it is if its settings ask for that;
    `kept` where weights and predictions go, as in `bench.keeping.Keep`; `watch` may give it up.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    outcome: Record
    try:
        check_device(cell.config["numerics"], device)
        bundle = build_data(cell.config, device, data)
        result = train(
            cell.config,
            bundle,
            seed=cell.seed,
            device=device,
            checkpoint=checkpoint,
            kept=kept,
            watch=watch,
        )
        outcome = {"status": "ok", "reason": "", **result}
    except DivergedError as error:
        outcome = {"status": "diverged", "reason": str(error)}
    except PrunedError as error:
        outcome = {"status": "pruned", "reason": str(error), **error.trained}
    except NeedsCudaError as error:
        outcome = {"status": "skipped", "reason": str(error)}
    except SystemExit as error:
        outcome = {
            "status": "error",
            "reason": f"it ended the program (exit code {error.code})",
            "traceback": traceback.format_exc(),
        }
    except Exception as error:
        outcome = {
            "status": status_of(error),
            "reason": reason_of(error),
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
    block: TimingBlock,
    device_text: str,
    own: Sequence[Registration] = (),
    note: Callable[[str], None] = lambda key: None,
) -> list[Record]:
    """Time a block; one record for each of its arms, in order.

    `own` are the components that a new process has to register first; InputError if it cannot.
    `note` is called with the key of an arm whenever that is built.
    """
    load_again(own)
    device = torch.device(device_text)
    with threads(torch.get_num_threads()), restored():  # each turn sets its arm's own
        rules = rules_for(device).within(1e3 * block.budget_s, len(block.arms) + 1)
        builders = [_builder(block, arm, device, note) for arm in block.arms]
        arms = [Arm(arm.id, build) for arm, build in zip(block.arms, builders, strict=True)]
        fixed = Arm(KEY, lambda: _reference(device, note), companion=True)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        with _old_objects_left_alone():
            *measured, of_reference = run_block(
                [*arms, fixed],
                clock=clock_for(device),
                rules=rules,
                device=device,
                sensor=sensor_for(device),
            )
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
                "reference": of_reference.to_dict(),
                **_cost(samples, build, device),
            }
            for arm, build, samples in zip(block.arms, builders, measured, strict=True)
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
    """The data of a resolved variant; `shared` as `data` in `run_cell`.

    It is on the device, or as it was built where `train.loader_workers` is set.
    """
    place = device if config["train"]["loader_workers"] is None else None
    if shared is not None:
        bundle = shared_data(config["dataset"], shared)
        bundle = bundle if place is None else resident(bundle, place)
    else:
        dataset = DATASETS[config["dataset"]["name"]]
        settings = json.dumps(settings_in(config["dataset"]), sort_keys=True)
        bundle = _whole_data(dataset, settings, place)
    return bundle.select(config["modalities"], config["tasks"])


def forget_data() -> None:
    """Build data anew from now on, also where settings are those of before."""
    _whole_data.cache_clear()


@lru_cache(maxsize=1)
def _whole_data(dataset: Dataset, settings: str, place: torch.device | None) -> DataBundle:
    # The cells of a suite mostly share their data; one set is kept between them.
    bundle = dataset(**json.loads(settings))
    return bundle if place is None else resident(bundle, place)


def _builder(
    block: TimingBlock, arm: TimingArm, device: torch.device, note: Callable[[str], None]
) -> Callable[[], ModelWorkload]:
    def build() -> ModelWorkload:
        note(arm.id)
        torch.set_num_threads(arm.config["train"]["threads"])
        bundle = build_data(arm.config, device)
        batch = first_batch(bundle, block.batch_size).to(device)
        return WORKLOADS[block.mode](arm.config, bundle, batch)

    return build


def _reference(device: torch.device, note: Callable[[str], None]) -> ReferenceWorkload:
    note(KEY)
    return ReferenceWorkload(device)


def _cost(samples: ArmSamples, build: Callable[[], ModelWorkload], device: torch.device) -> Record:
    """Memory and FLOPs of an arm that was timed; where they cannot be had, why not."""
    if samples.status != "ok":
        return {}
    try:
        give_back(device)
        return {"cost": measure_cost(build(), device)}
    except Exception as error:
        return {"reason": f"timed, but no memory and FLOPs: {type(error).__name__}: {error}"}
