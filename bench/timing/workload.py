"""What a timing block times: a variant's training step, or its inference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from bench.step import PHASES, unmarked
from bench.timing.flops import count_flops
from bench.timing.memory import peak_memory_mib
from bench.timing.sampler import Workload
from bench.training import build_step
from mtmm.spec import Batch, DataBundle

Config = Mapping[str, Any]

_SEED = 0  # of the weights; a step costs the same whatever they are


class TrainingWorkload:
    """The optimisation step of a variant on one resident batch."""

    phases = PHASES

    def __init__(self, config: Config, bundle: DataBundle, batch: Batch) -> None:
        self.samples = len(batch)
        self._batch = batch
        self._step = build_step(config, bundle, seed=_SEED, device=batch.device)

    def step(self, mark: Callable[[], None]) -> None:
        """See `Workload.step`."""
        self._step(self._batch, mark)


class InferenceWorkload:
    """The forward pass of a variant in evaluation mode, without gradients."""

    phases = ("inference",)

    def __init__(self, config: Config, bundle: DataBundle, batch: Batch) -> None:
        self.samples = len(batch)
        self._batch = batch
        self._model = build_step(config, bundle, seed=_SEED, device=batch.device).model.eval()

    def step(self, mark: Callable[[], None]) -> None:
        """See `Workload.step`."""
        with torch.inference_mode():
            mark()
            self._model(self._batch.inputs, self._batch.present)
            mark()


WORKLOADS: Mapping[str, Callable[[Config, DataBundle, Batch], Workload]] = {
    "train": TrainingWorkload,
    "inference": InferenceWorkload,
}


def first_batch(bundle: DataBundle, batch_size: int) -> Batch:
    """The first training samples; where there are fewer than `batch_size`, they repeat."""
    index = torch.arange(batch_size, device=bundle.train.device)
    return bundle.train.take(index % len(bundle.train))


def measure_cost(workload: Workload, device: torch.device) -> dict[str, float]:
    """Peak memory and FLOPs of one step, untimed."""

    def step() -> None:
        workload.step(unmarked)

    step()  # the first step allocates what stays: the optimizer's state, workspaces
    return {"peak_mib": peak_memory_mib(step, device), "flops": count_flops(step)}
