"""A bag of words: the mean of their embeddings."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from mtmm.attention import masked_mean
from mtmm.encoders.base import Encoder, Plain, Stage, State
from mtmm.encoders.words import Embedding
from mtmm.settings import Range
from mtmm.spec import Modality


class Bag(Encoder):
    """The mean of the real words' embeddings, linear, ReLU: the order of words plays no part.

    A text without words is 0 before the linear layer. The feature has the model's `width`.
    """

    kinds = frozenset({"text"})
    token_stage = "embedding"

    def __init__(
        self, modality: Modality, width: int, *, embedding: Annotated[int, Range(low=1)] = 64
    ) -> None:
        super().__init__(
            {
                "embedding": Embedding(modality, embedding),
                "mean": Mean(embedding),
                "fc": Plain(nn.Sequential(nn.Linear(embedding, width), nn.ReLU()), (width,)),
            }
        )


class Mean(Stage):
    """The mean over real tokens, `[B, S, D]` to `[B, D]`; 0 without any."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out_shape = (dim,)

    def forward(self, x: Tensor, mask: Tensor | None) -> State:
        """See `Stage.forward`."""
        return State(masked_mean(x, mask), mask)
