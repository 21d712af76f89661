"""Attention of each modality to every other."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations

import torch
from torch import Tensor, nn

from mtmm.attention import Layer, masked_mean
from mtmm.fusion.base import linear
from mtmm.fusion.tokens import Heads, Layers, TokenFusion, Tokens


class CrossAttention(TokenFusion):
    """For each ordered pair of modalities, `layers` layers in which the tokens of one attend to
    those of the other (Tsai et al. 2019, arXiv 1906.00295, its crossmodal transformers), then
    W [the normalised means of all pairs] + b.

    Without the convolutions before and the self-attention after them of that paper. Every modality
    needs tokens: attention to a single one is 1 whatever asks. Tokens whose counterpart is absent
    pass their layers unattended; a pair whose asking modality is absent is 0 before its norm.
    `heads` must divide the model's width.
    """

    needs_tokens = True

    def __init__(
        self, dims: Mapping[str, int], out_dim: int, *, layers: Layers = 1, heads: Heads = 4
    ) -> None:
        super().__init__(dims, out_dim)
        self.pairs = list(permutations(range(len(dims)), 2))
        self.stacks = nn.ModuleList(
            nn.ModuleList(Layer(out_dim, heads) for _ in range(layers)) for _ in self.pairs
        )
        self.norms = nn.ModuleList(nn.LayerNorm(out_dim) for _ in self.pairs)
        self.projection = linear(len(self.pairs) * out_dim, out_dim)

    def fuse(self, tokens: list[Tokens]) -> Tensor:
        """See `TokenFusion.fuse`."""
        means = []
        for (one, other), stack, norm in zip(self.pairs, self.stacks, self.norms, strict=True):
            x, (context, seen) = tokens[one].x, tokens[other]
            assert isinstance(stack, nn.ModuleList)
            for layer in stack:
                x = layer(x, seen, context)
            means.append(norm(masked_mean(x, tokens[one].mask)))
        fused: Tensor = self.projection(torch.cat(means, dim=1))
        return fused

    @classmethod
    def parameter_count(
        cls, dims: Mapping[str, int], out_dim: int, *, layers: int = 1, heads: int = 4
    ) -> int:
        """Σ (D_m o + o), M (M − 1) stacks of L layers with 2 o each, M (M − 1) o² + o."""
        pairs = len(dims) * (len(dims) - 1)
        stack = layers * Layer.parameter_count(out_dim) + 2 * out_dim
        after = pairs * out_dim * out_dim + out_dim
        return cls.projection_count(dims, out_dim) + pairs * stack + after
