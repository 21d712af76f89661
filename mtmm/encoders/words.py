"""Stages that encoders of texts share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mtmm.encoders.base import Stage, State
from mtmm.spec import Modality


class Embedding(Stage):
    """Token ids `[B, S]` to vectors `[B, S, dim]`; padding is 0."""

    def __init__(self, modality: Modality, dim: int) -> None:
        super().__init__()
        assert modality.vocabulary is not None
        self.table = nn.Embedding(modality.vocabulary, dim, padding_idx=modality.pad_id)
        self.out_shape = (*modality.shape, dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> State:
        """See `Stage.forward`."""
        return State(self.table(x), mask)


class LastWord(Stage):
    """The state after the last real word, `[B, S, D]` to `[B, D]`; 0 for a text without words."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out_shape = (dim,)

    def forward(self, x: Tensor, mask: Tensor | None) -> State:
        """See `Stage.forward`."""
        if mask is None:
            return State(x[:, -1], mask)
        length = mask.sum(1)
        last = (length - 1).clamp(min=0)[:, None, None].expand(-1, 1, x.shape[2])
        word = x.gather(1, last).squeeze(1)
        return State(torch.where(length[:, None] > 0, word, 0.0), mask)
