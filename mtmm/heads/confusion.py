"""Counts of what was predicted for what: enough for every metric of labels."""

from __future__ import annotations

import torch
from torch import Tensor


def no_counts(classes: int, device: object) -> Tensor:
    """The counts `[K, K]` (target, prediction) of no sample."""
    return torch.zeros(classes, classes, dtype=torch.int64, device=device)  # type: ignore[call-overload, no-any-return]


def counted(confusion: Tensor, predicted: Tensor, target: Tensor, labelled: Tensor) -> Tensor:
    """The counts `[K, K]` and one more batch: predictions and targets `[B]` of labelled samples."""
    classes = confusion.shape[0]
    cell = torch.where(labelled, target, 0) * classes + predicted
    flat = torch.zeros(classes * classes, dtype=torch.int64, device=predicted.device)
    return confusion + flat.index_add(0, cell, labelled.long()).view(classes, classes)


def wrong_classes(target: Tensor, labelled: Tensor, classes: int) -> str | None:
    """What keeps targets `[B]` from being class indices, in words; None: nothing."""
    if target.dtype != torch.int64 or target.dim() != 1:
        return f"int64 and [B]; found {target.dtype} {list(target.shape)}"
    known = target[labelled]
    low, high = (int(known.min()), int(known.max())) if len(known) else (0, 0)
    if low < 0 or high >= classes:
        return f"0 to {classes - 1} where labelled; found {low} to {high}"
    return None
