"""A transformer over words."""

from __future__ import annotations

from typing import Annotated

from mtmm.encoders.attentive import transformer_stages
from mtmm.encoders.base import Encoder
from mtmm.encoders.words import Embedding
from mtmm.settings import Range
from mtmm.spec import Modality


class Transformer(Encoder):
    """Embedding, learned positions, pre-norm layers (Vaswani et al. 2017, arXiv 1706.03762), the
    normalised mean of the real words.

    `dim` is the width of words and of the feature, the model's `width` unless said; `heads` must
    divide it. Padding changes nothing; a text without words gives 0.
    """

    kinds = frozenset({"text"})
    token_stage = "tokens"

    def __init__(
        self,
        modality: Modality,
        width: int,
        *,
        dim: Annotated[int, Range(low=1)] | None = None,
        layers: Annotated[int, Range(low=1, high=64)] = 2,
        heads: Annotated[int, Range(low=1)] = 4,
    ) -> None:
        super().__init__(transformer_stages(Embedding(modality, dim or width), layers, heads))
        self.token_stage = f"layer{layers}"
