"""A word embedding and a GRU over the words."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from mtmm.encoders.base import Encoder, Stage, State
from mtmm.encoders.words import Embedding, LastWord
from mtmm.settings import Range
from mtmm.spec import Modality


class GRU(Encoder):
    """Embedding, then gated recurrent units (Cho et al. 2014, arXiv 1406.1078).

    The feature is the top layer's state after the last real word, as of `lstm`: padding changes
    nothing, and a text without words gives 0. `hidden` is the feature's width, the model's `width`
    unless said.
    """

    kinds = frozenset({"text"})
    token_stage = "gru"

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
                "embedding": Embedding(modality, embedding),
                "gru": _Recurrence(modality.shape[0], embedding, hidden, layers),
                "last": LastWord(hidden),
            }
        )


class _Recurrence(Stage):
    def __init__(self, length: int, in_dim: int, dim: int, layers: int) -> None:
        super().__init__()
        self.gru = nn.GRU(in_dim, dim, layers, batch_first=True)
        self.out_shape = (length, dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> State:
        return State(self.gru(x)[0], mask)
