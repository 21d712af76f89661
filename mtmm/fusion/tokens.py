"""What fusions of tokens share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor, nn

from mtmm.attention import RATIO
from mtmm.fusion.base import Fusion, linear
from mtmm.settings import Range

Heads = Annotated[int, Range(low=1, high=1024)]
Layers = Annotated[int, Range(low=1, high=64)]


class Tokens(NamedTuple):
    """Tokens of one modality `[B, S, D]` and which of them are real and there, boolean `[B, S]`."""

    x: Tensor
    mask: Tensor


class TokenFusion(Fusion):
    """`[B, S_m, D_m]` tokens of each modality in, one `[B, out_dim]` feature out; define `fuse`.

    Every modality's tokens are first brought to the width `out_dim` by a linear layer of its own,
    whose bias tells modalities apart; where a token stands is for its encoder to say. An absent
    modality has no token, and a token that is padding is none. `needs_tokens` says that a modality
    of one token alone makes no sense.
    """

    level = "token"
    needs_tokens = False

    def __init__(self, dims: Mapping[str, int], out_dim: int) -> None:
        super().__init__(dims, out_dim)
        self.projections = nn.ModuleList(linear(dim, out_dim) for dim in self.dims.values())

    def forward(
        self,
        features: Mapping[str, Tensor],
        present: Mapping[str, Tensor] | None = None,
        token_mask: Mapping[str, Tensor | None] | None = None,
    ) -> Tensor:
        """Shapes: features `[B, S_m, D_m]`, present boolean `[B]`, token_mask boolean `[B, S_m]`.

        No mask: all there. A sample without any token is the same as every other such sample.
        """
        return self.fuse(self._projected(features, present, token_mask))

    def fuse(self, tokens: list[Tokens]) -> Tensor:
        """One feature `[B, out_dim]` from the modalities' tokens, in the order of `self.dims`."""
        raise NotImplementedError

    def _projected(
        self,
        features: Mapping[str, Tensor],
        present: Mapping[str, Tensor] | None,
        token_mask: Mapping[str, Tensor | None] | None,
    ) -> list[Tokens]:
        """Each modality's tokens at width `out_dim`, what is absent or padding exactly 0."""
        self.check_batch(features)
        made = []
        for name, projection in zip(self.dims, self.projections, strict=True):
            x = features[name]
            mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
            given = None if token_mask is None else token_mask.get(name)
            if given is not None:
                mask = mask & given
            if present is not None:
                mask = mask & present[name][:, None]
            real = mask[:, :, None]
            made.append(Tokens(torch.where(real, projection(torch.where(real, x, 0.0)), 0.0), mask))
        return made

    @classmethod
    def values_per_sample(
        cls,
        dims: Mapping[str, int],
        out_dim: int,
        *,
        tokens: Mapping[str, int] | None = None,
        heads: int = 1,
        **settings: Any,
    ) -> int:
        """The hidden layer of a feed-forward part, R o S, or the scores of all heads, H S²."""
        count = len(dims) if tokens is None else sum(tokens.values())
        return max(RATIO * out_dim * count, heads * count * count)

    @staticmethod
    def projection_count(dims: Mapping[str, int], out_dim: int) -> int:
        """Parameters of the projections: Σ (D_m o + o)."""
        return sum(dim * out_dim + out_dim for dim in dims.values())
