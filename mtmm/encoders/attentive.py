"""Stages that transformer encoders share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtmm.attention import Layer, masked_mean
from mtmm.encoders.base import Stage, State


class Positions(Stage):
    """Tokens of a stage and a learned vector for each place."""

    def __init__(self, tokens: Stage) -> None:
        super().__init__()
        self.tokens = tokens
        self.out_shape = tokens.out_shape
        self.places = nn.Parameter(torch.empty(self.out_shape))
        nn.init.normal_(self.places, std=0.02)

    def forward(self, x: Tensor, mask: Tensor | None) -> State:
        """See `Stage.forward`."""
        x, mask = self.tokens(x, mask)
        return State(x + self.places, mask)


class Attentive(Stage):
    """One transformer layer; `[B, S, D]` stays what it is."""

    def __init__(self, shape: Sequence[int], heads: int) -> None:
        super().__init__()
        self.layer = Layer(shape[1], heads)
        self.out_shape = tuple(shape)

    def forward(self, x: Tensor, mask: Tensor | None) -> State:
        """See `Stage.forward`."""
        return State(self.layer(x, mask), mask)


class NormedMean(Stage):
    """The mean of the real tokens, layer-normalised; 0 for a sample without any."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.out_shape = (dim,)

    def forward(self, x: Tensor, mask: Tensor | None) -> State:
        """See `Stage.forward`."""
        mean = self.norm(masked_mean(x, mask))
        if mask is not None:
            mean = torch.where(mask.any(1)[:, None], mean, 0.0)
        return State(mean, mask)


def transformer_stages(first: Stage, layers: int, heads: int) -> dict[str, Stage]:
    """`tokens`, `layer1` to `layerN`, `pool`."""
    tokens = Positions(first)
    stages: dict[str, Stage] = {"tokens": tokens}
    for i in range(1, layers + 1):
        stages[f"layer{i}"] = Attentive(tokens.out_shape, heads)
    return {**stages, "pool": NormedMean(tokens.out_shape[1])}
