"""What encoders of texts by recurrence share."""

from __future__ import annotations

from typing import Annotated, ClassVar

from torch import Tensor, nn

from mtmm.encoders.base import Encoder, Stage, State
from mtmm.encoders.words import Embedding, LastWord
from mtmm.settings import Range
from mtmm.spec import Modality


class Recurrent(Encoder):
    """Embedding, then the `network` of a subclass over the words; its states are the tokens.

    The feature is the top layer's state after the last real word: texts are padded at the end and
    the network reads forward, so padding changes nothing. A text without words gives 0. `hidden` is
    the feature's width, the model's `width` unless said.
    """

    kinds = frozenset({"text"})
    token_stage = "recurrence"
    network: ClassVar[type[nn.LSTM] | type[nn.GRU]]

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
        table = Embedding(modality, embedding)
        network = self.network(embedding, hidden, layers, batch_first=True)
        recurrence = _Recurrence(network, modality.shape[0], hidden)
        super().__init__({"embedding": table, "recurrence": recurrence, "last": LastWord(hidden)})


class _Recurrence(Stage):
    def __init__(self, network: nn.RNNBase, length: int, dim: int) -> None:
        super().__init__()
        self.network = network
        self.out_shape = (length, dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> State:
        return State(self.network(x)[0], mask)
