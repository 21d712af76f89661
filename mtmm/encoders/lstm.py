"""A word embedding and an LSTM over the words."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from mtmm.encoders.base import Encoder, Stage, State
from mtmm.settings import Range
from mtmm.spec import Modality


class LSTM(Encoder):
    """Embedding, then an LSTM (Hochreiter & Schmidhuber 1997).

    The feature is the top layer's hidden state after the last real word: texts are padded at the
    end and the network reads forward, so padding changes nothing. A text without words gives 0.
    `hidden` is the feature's width, the model's `width` unless said.
    """

    kinds = frozenset({"text"})
    token_stage = "lstm"

    def __init__(
        self,
        modality: Modality,
        width: int,
        *,
        embedding: Annotated[int, Range(low=1)] = 64,
        hidden: Annotated[int, Range(low=1)] | None = None,
        layers: Annotated[int, Range(low=1)] = 1,
    ) -> None:
        hidden = hidden or width
        super().__init__(
            {
                "embedding": _Embedding(modality, embedding),
                "lstm": _Recurrence(modality.shape[0], embedding, hidden, layers),
                "last": _LastWord(hidden),
            }
        )


class _Embedding(Stage):
    def __init__(self, modality: Modality, dim: int) -> None:
        super().__init__()
        assert modality.vocabulary is not None
        self.table = nn.Embedding(modality.vocabulary, dim, padding_idx=modality.pad_id)
        self.out_shape = (*modality.shape, dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> State:
        return State(self.table(x), mask)


class _Recurrence(Stage):
    def __init__(self, length: int, in_dim: int, dim: int, layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(in_dim, dim, layers, batch_first=True)
        self.out_shape = (length, dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> State:
        return State(self.lstm(x)[0], mask)


class _LastWord(Stage):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out_shape = (dim,)

    def forward(self, x: Tensor, mask: Tensor | None) -> State:
        """Shapes: x `[B, S, D]` to `[B, D]`."""
        if mask is None:
            return State(x[:, -1], mask)
        length = mask.sum(1)
        last = (length - 1).clamp(min=0)[:, None, None].expand(-1, 1, x.shape[2])
        word = x.gather(1, last).squeeze(1)
        return State(torch.where(length[:, None] > 0, word, 0.0), mask)
