"""Attention bottlenecks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from torch import Tensor, nn

from mtmm.attention import Layer, masked_mean
from mtmm.fusion.base import linear
from mtmm.fusion.tokens import Heads, Layers, TokenFusion, Tokens
from mtmm.settings import Range


class Bottleneck(TokenFusion):
    """Multimodal bottleneck transformer (Nagrani et al. 2021, arXiv 2107.00135): in every layer
    each modality's tokens attend to themselves and to B bottleneck tokens, which are then averaged
    over modalities; modalities meet nowhere else.

    The result is W [normalised means of each modality's tokens and of the bottlenecks] + b, where
    the paper averages the modalities' class tokens. Absent modalities do not enter the averages.
    `bottlenecks` is B, `layers` the number of fusing layers; `heads` must divide the model's width.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        out_dim: int,
        *,
        bottlenecks: Annotated[int, Range(low=1, high=4096)] = 4,
        layers: Layers = 2,
        heads: Heads = 4,
    ) -> None:
        super().__init__(dims, out_dim)
        self.bottlenecks = nn.Parameter(torch.empty(bottlenecks, out_dim))
        nn.init.normal_(self.bottlenecks, std=0.02)
        self.layers = nn.ModuleList(
            nn.ModuleList(Layer(out_dim, heads) for _ in dims) for _ in range(layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(out_dim) for _ in range(len(dims) + 1))
        self.projection = linear((len(dims) + 1) * out_dim, out_dim)

    def fuse(self, tokens: list[Tokens]) -> Tensor:
        """See `TokenFusion.fuse`."""
        shared = self.bottlenecks.expand(tokens[0].x.shape[0], -1, -1)
        for layers in self.layers:
            assert isinstance(layers, nn.ModuleList)
            tokens, shared = _meet(layers, tokens, shared)
        means = [*(masked_mean(*part) for part in tokens), shared.mean(1)]
        normed = [norm(mean) for norm, mean in zip(self.norms, means, strict=True)]
        fused: Tensor = self.projection(torch.cat(normed, dim=1))
        return fused

    @classmethod
    def parameter_count(
        cls,
        dims: Mapping[str, int],
        out_dim: int,
        *,
        bottlenecks: int = 4,
        layers: int = 2,
        heads: int = 4,
    ) -> int:
        """Σ (D_m o + o), B o, L M transformer layers, (M + 1)(2 o + o²) + o."""
        inner = layers * len(dims) * Layer.parameter_count(out_dim) + bottlenecks * out_dim
        after = (len(dims) + 1) * (2 * out_dim + out_dim * out_dim) + out_dim
        return cls.projection_count(dims, out_dim) + inner + after


def _meet(
    layers: nn.ModuleList, tokens: list[Tokens], shared: Tensor
) -> tuple[list[Tokens], Tensor]:
    """One layer: each modality with its copy of the bottlenecks, then the copies' average."""
    after, copies, there = [], [], []
    for (x, mask), layer in zip(tokens, layers, strict=True):
        real = torch.ones(shared.shape[:2], dtype=torch.bool, device=x.device)
        both = layer(torch.cat([x, shared], dim=1), torch.cat([mask, real], dim=1))
        after.append(Tokens(both[:, : x.shape[1]], mask))
        copies.append(both[:, x.shape[1] :])
        there.append(mask.any(1))
    present = torch.stack(there)[:, :, None, None]
    total = torch.where(present, torch.stack(copies), 0.0).sum(0)
    count = present.sum(0)
    return after, torch.where(count > 0, total / count.clamp(min=1), shared)
