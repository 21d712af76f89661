"""Noisy waves: which shape is it, and how large? `my_components.py` imports this."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from mtmm.settings import Range
from mtmm.spec import Batch, DataBundle, Description, Modality, Task

Samples = Annotated[int, Range(low=100)]
Noise = Annotated[float, Range(low=0)]


def describe(*, samples: Samples = 1000, noise: Noise = 0.5, seed: int = 0) -> Description:
    """What `build` will make; called while a suite is planned, so it makes nothing."""
    return Description(
        modalities=(
            Modality(name="wave", kind="vector", shape=(16,)),
            Modality(name="level", kind="vector", shape=(4,)),
        ),
        tasks=(
            Task(name="shape", kind="classification", classes=3),
            Task(name="size", kind="number"),
        ),
        # Code and settings count anyway: here goes what else decides the tensors, such as files.
        fingerprint="generated",
    )


def build(*, samples: Samples = 1000, noise: Noise = 0.5, seed: int = 0) -> DataBundle:
    """Waves of three frequencies and any size, and four noisy measures of the size."""
    random = torch.Generator().manual_seed(seed)
    shape = torch.randint(0, 3, (samples,), generator=random)
    size = torch.rand(samples, generator=random) + 0.5
    wave = size[:, None] * torch.sin((shape[:, None] + 1) * torch.linspace(0, 6, 16))
    level = size[:, None].expand(-1, 4)
    inputs = {
        name: clean + noise * torch.randn(clean.shape, generator=random)
        for name, clean in {"wave": wave, "level": level}.items()
    }
    whole = _all_there(inputs, {"shape": shape, "size": size})
    train, val, test = torch.arange(samples).split(_sizes(samples))
    about = describe(samples=samples, noise=noise, seed=seed)
    return DataBundle(
        modalities=about.modalities,
        tasks=about.tasks,
        fingerprint=about.fingerprint,
        train=whole.take(train),
        val=whole.take(val),
        test=whole.take(test),
    )


def _all_there(inputs: dict[str, Tensor], targets: dict[str, Tensor]) -> Batch:
    everywhere = torch.ones(len(targets["shape"]), dtype=torch.bool)
    return Batch(
        inputs=inputs,
        targets=targets,
        present=dict.fromkeys(inputs, everywhere),
        labelled=dict.fromkeys(targets, everywhere),
    )


def _sizes(samples: int) -> list[int]:
    fifth = samples // 5
    return [samples - 2 * fifth, fifth, fifth]
