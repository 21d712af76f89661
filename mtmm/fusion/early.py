"""One encoder for the tokens of all modalities."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mtmm.attention import Layer, masked_mean
from mtmm.fusion.tokens import Heads, Layers, TokenFusion, Tokens


class Early(TokenFusion):
    """`layers` transformer layers over all modalities' tokens side by side, then the normalised
    mean of the tokens: one backbone that the modalities share.

    `heads` must divide the model's width. A sample with no token at all is 0 before the norm.
    """

    def __init__(
        self, dims: Mapping[str, int], out_dim: int, *, layers: Layers = 2, heads: Heads = 4
    ) -> None:
        super().__init__(dims, out_dim)
        self.layers = nn.ModuleList(Layer(out_dim, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(out_dim)

    def fuse(self, tokens: list[Tokens]) -> Tensor:
        """See `TokenFusion.fuse`."""
        x = torch.cat([part.x for part in tokens], dim=1)
        mask = torch.cat([part.mask for part in tokens], dim=1)
        for layer in self.layers:
            x = layer(x, mask)
        fused: Tensor = self.norm(masked_mean(x, mask))
        return fused

    @classmethod
    def parameter_count(
        cls, dims: Mapping[str, int], out_dim: int, *, layers: int = 2, heads: int = 4
    ) -> int:
        """Σ (D_m o + o), L transformer layers and 2 o."""
        each = Layer.parameter_count(out_dim)
        return cls.projection_count(dims, out_dim) + layers * each + 2 * out_dim
