"""What a timing block times of a variant: its training step, or its forward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import nn

from bench.numerics import Around, eager
from bench.step import unmarked
from bench.timing.flops import count_phases
from bench.timing.memory import peak_memory_mib, reserved_memory_mib
from bench.timing.parts import count_parts
from bench.timing.phases import passes
from bench.timing.pipeline import PipelineWorkload
from bench.timing.sampler import Workload
from bench.training import build_step
from mtmm.spec import Batch, DataBundle

Config = Mapping[str, Any]

_SEED = 0  # of the weights; a step costs the same whatever they are


class ModelWorkload(Workload, Protocol):
    """A workload that is a model's."""

    @property
    def model(self) -> nn.Module:
        """The model that is stepped."""
        ...

    @property
    def around(self) -> Around:
        """What its forward passes are put into."""
        ...


class TrainingWorkload:
    """The optimisation step of a variant on one resident batch.

    Where a weighting finds its weights in one of k steps, k are run, and count as one.
    """

    def __init__(self, config: Config, bundle: DataBundle, batch: Batch) -> None:
        self.samples = len(batch)
        self._batch = batch
        self._step = build_step(config, bundle, seed=_SEED, device=batch.device)
        self._every = self._step.descent.usage.every
        self.phases = self._step.phases * self._every
        self.model, self.around = self._step.model, self._step.around

    def step(self, mark: Callable[[], None]) -> None:
        """See `Workload.step`."""
        self._step(self._batch, mark)
        for _ in range(1, self._every):
            self._step(self._batch, _after_first(mark))


class InferenceWorkload:
    """The forward pass of a variant in evaluation mode, without gradients."""

    phases = ("inference",)

    def __init__(self, config: Config, bundle: DataBundle, batch: Batch) -> None:
        self.samples = len(batch)
        self._batch = batch
        step = build_step(config, bundle, seed=_SEED, device=batch.device)
        self.model, self.around = step.model.eval(), step.around

    def step(self, mark: Callable[[], None]) -> None:
        """See `Workload.step`."""
        with torch.inference_mode():
            mark()
            with self.around():
                self.model(self._batch.inputs, self._batch.present)
            mark()


class ForwardWorkload:
    """The forward pass of a variant in training mode, which keeps what a backward pass needs."""

    phases = ("forward",)

    def __init__(self, config: Config, bundle: DataBundle, batch: Batch) -> None:
        self.samples = len(batch)
        self._batch = batch
        step = build_step(config, bundle, seed=_SEED, device=batch.device)
        self.model, self.around = step.model, step.around

    def step(self, mark: Callable[[], None]) -> None:
        """See `Workload.step`."""
        mark()
        with self.around():
            self.model(self._batch.inputs, self._batch.present)
        mark()


def _after_first(mark: Callable[[], None]) -> Callable[[], None]:
    """The mark of a step that follows another: where it starts, that one has ended."""
    started = False

    def marked() -> None:
        nonlocal started
        if started:
            mark()
        started = True

    return marked


WORKLOADS: Mapping[str, Callable[[Config, DataBundle, Batch], ModelWorkload]] = {
    "train": TrainingWorkload,
    "inference": InferenceWorkload,
    "forward": ForwardWorkload,
    "pipeline": PipelineWorkload,
}


def first_batch(bundle: DataBundle, batch_size: int) -> Batch:
    """The first training samples; where there are fewer than `batch_size`, they repeat."""
    labelled = next(iter(bundle.train.labelled.values()))
    index = torch.arange(batch_size, device=labelled.device)
    return bundle.train.take(index % len(bundle.train))


def measure_cost(workload: ModelWorkload, device: torch.device) -> dict[str, Any]:
    """Peak memory and FLOPs of one step, untimed.

    `peak_mib` and `flops` of the step, `phase_peak_mib` and `phase_flops` of its phases,
    `part_flops` of the parts of the model (see `count_parts`; a model of one's own has those that
    its `parts` names), and on CUDA `reserved_mib`, which the allocator held.
    """
    workload.step(unmarked)  # the first step allocates what stays: optimizer's state, workspaces
    peaks = peak_memory_mib(workload.step, workload.phases, device)
    # Before anything is counted: the counters' steps fill the allocator's cache with their own.
    cuda = device.type == "cuda"
    reserved = {"reserved_mib": reserved_memory_mib(workload.step, device)} if cuda else {}
    parts: Mapping[str, nn.Module] = getattr(workload.model, "parts", dict)()
    # Compiled code does not call its parts; a part alone is replayed as it was called.
    with eager(), workload.around():
        flops = count_phases(workload.step, workload.phases)
        part_flops = count_parts(lambda: workload.step(unmarked), parts, passes(workload.phases))
    return {
        "peak_mib": max(peaks.values()),
        "phase_peak_mib": peaks,
        "flops": sum(flops.values()),
        "phase_flops": flops,
        "part_flops": part_flops,
        **reserved,
    }
