"""A word embedding and an LSTM over the words."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from mtmm.encoders.base import Encoder, Stage, State
from mtmm.encoders.words import Embedding, LastWord
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
                "embedding": Embedding(modality, embedding),
                "lstm": _Recurrence(modality.shape[0], embedding, hidden, layers),
                "last": LastWord(hidden),
            }
        )


class _Recurrence(Stage):
    def __init__(self, length: int, in_dim: int, dim: int, layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(in_dim, dim, layers, batch_first=True)
        self.out_shape = (length, dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> State:
        return State(self.lstm(x)[0], mask)
