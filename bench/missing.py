"""Modalities taken away from samples, in training and in evaluation."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from mtmm.seeding import generator
from mtmm.spec import Batch


def dropping(batches: Iterable[Batch], rate: float, seed: int, epoch: int) -> Iterator[Batch]:
    """The batches of an epoch, each modality of each sample absent with that probability.

    What is dropped depends on the seed, the epoch and the place of a batch alone, so that two
    variants lose the same, and data come in the same order as without.
    """
    if not rate:
        yield from batches
        return
    random: torch.Generator | None = None
    for batch in batches:
        random = random or generator(seed, "modality_dropout", str(epoch), device=batch.device)
        yield replace(batch, present=thinned(batch.present, rate, random))


def thinned(
    present: Mapping[str, Tensor], rate: float, random: torch.Generator
) -> dict[str, Tensor]:
    """Boolean `[B]` by modality: each absent with probability `rate`, but never all of a sample.

    Of a sample that would lose every modality it had, one is kept, each as likely.
    """
    there = torch.stack(list(present.values()))
    numbers = torch.rand(2, *there.shape, generator=random, device=there.device)
    kept = there & (numbers[0] >= rate)
    spared = torch.where(there, numbers[1], -1.0).argmax(0)
    places = torch.arange(len(there), device=there.device)[:, None]
    kept = kept | (there & (places == spared) & ~kept.any(0))
    return dict(zip(present, kept.unbind(), strict=True))


def only(present: Mapping[str, Tensor], modalities: Collection[str]) -> dict[str, Tensor]:
    """Boolean `[B]` by modality: all others absent."""
    return {
        name: there if name in modalities else torch.zeros_like(there)
        for name, there in present.items()
    }
