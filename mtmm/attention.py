"""Attention between tokens, shared by encoders and fusions.

Shapes: tokens `[B, S, D]`, masks boolean `[B, S]` (true = real token, None = all are).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RATIO = 2
"""How much wider the hidden layer of a feed-forward part is than its tokens."""


class Attention(nn.Module):
    """Multi-head scaled dot-product attention (Vaswani et al. 2017, arXiv 1706.03762).

    Keys have no bias: it would add the same number to every score of a query, which a softmax
    ignores. A sample without a real token to attend to gets 0.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"`heads` must divide the width of tokens, {dim}; found {heads}")
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        """Shapes: x `[B, S, D]`, context `[B, R, D]` with mask `[B, R]`, to `[B, S, D]`."""
        allowed = any_real = None
        if mask is not None:
            any_real = mask.any(1)[:, None, None]
            # A softmax over nothing is NaN: such a sample looks at all, and what it saw is dropped.
            allowed = (mask[:, None] | ~any_real)[:, None]
        query, key, value = self.query(x), self.key(context), self.value(context)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (query, key, value))
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        mixed: Tensor = self.out(seen.transpose(1, 2).flatten(2))
        return mixed if any_real is None else torch.where(any_real, mixed, 0.0)

    @staticmethod
    def parameter_count(dim: int) -> int:
        """4 D² + 2 D."""
        return 4 * dim * dim + 2 * dim


class Layer(nn.Module):
    """A pre-norm transformer layer: x + Attention(norm x), then x + FeedForward(norm x).

    With `context` the tokens attend to those instead of to themselves.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attention = Attention(dim, heads)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, RATIO * dim), nn.GELU(), nn.Linear(RATIO * dim, dim)
        )

    def forward(
        self, x: Tensor, mask: Tensor | None = None, context: Tensor | None = None
    ) -> Tensor:
        """Shapes: x `[B, S, D]`; `mask` is that of what is attended to, `context` or x."""
        normed = self.norm(x)
        other = normed if context is None else self.norm(context)
        x = x + self.attention(normed, other, mask)
        mixed: Tensor = x + self.feed_forward(x)
        return mixed

    @staticmethod
    def parameter_count(dim: int) -> int:
        """(4 + 2 R) D² + (R + 7) D with R = `RATIO`: attention, feed-forward and two norms."""
        return Attention.parameter_count(dim) + 2 * RATIO * dim * dim + (RATIO + 1) * dim + 4 * dim


def masked_mean(x: Tensor, mask: Tensor | None) -> Tensor:
    """The mean of the real tokens `[B, D]`; 0 for a sample without any."""
    if mask is None:
        return x.mean(1)
    total = torch.where(mask[:, :, None], x, 0.0).sum(1)
    return total / mask.sum(1).clamp(min=1)[:, None]
