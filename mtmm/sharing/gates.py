"""Gates over experts: how much of each a task takes, sample by sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtmm.sharing.base import MakePath


class Look(nn.Module):
    """A copy of every encoder's first stage, and what it makes, averaged: what a gate sees."""

    def __init__(self, make_path: MakePath, users: Sequence[str], place: str) -> None:
        super().__init__()
        self.path = make_path(users, place)
        self.path.keep(range(1), fusion=False)
        self.width = self.path.pooled_width(0)

    def forward(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Shapes: inputs `[B, *shape]` to `[B, width]`."""
        return self.path.pooled(self.path.advance(self.path.start(inputs, present), 0))


class Softmax(nn.Module):
    """Weights of E experts, softmax(W x + b)."""

    def __init__(self, width: int, experts: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, experts)

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: `[B, width]` to `[B, E]`."""
        return torch.softmax(self.linear(x), 1)


class Selectors(nn.Module):
    """Weights of E experts, at most k of which are not 0 in the end (Hazimeh et al. 2021, arXiv
    2106.03760).

    Each of k selectors writes an expert's number in smoothed bits; a softmax weighs the selectors.
    A bit is the smooth step of a linear function, which reaches 0 and 1 at −1/2 and 1/2.
    """

    def __init__(self, width: int, experts: int, k: int) -> None:
        super().__init__()
        bits = max(1, (experts - 1).bit_length())
        if experts != 2**bits:
            raise ValueError(f"`experts` must be a power of 2, at least 2; found {experts}")
        if k > experts:
            raise ValueError(f"`k` must be at most the number of experts, {experts}; found {k}")
        self.k, self.bits = k, bits
        self.codes = nn.Linear(width, k * bits)
        # Close to the middle of the step, where it has a slope.
        nn.init.uniform_(self.codes.weight, -0.1 / width, 0.1 / width)
        nn.init.uniform_(self.codes.bias, -0.1, 0.1)
        # One selector has the whole.
        self.shares = nn.Linear(width, k) if k > 1 else None
        numbers = torch.arange(experts)[:, None] >> torch.arange(bits) & 1
        self.register_buffer("numbers", numbers.bool(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: `[B, width]` to `[B, E]`."""
        bit = smooth_step(self.codes(x)).view(-1, self.k, 1, self.bits)
        chosen = torch.where(self.get_buffer("numbers"), bit, 1 - bit).prod(3)
        if self.shares is None:
            return chosen.squeeze(1)
        return (torch.softmax(self.shares(x), 1)[:, :, None] * chosen).sum(1)


def smooth_step(x: Tensor) -> Tensor:
    """0 below −1/2, 1 above 1/2, −2 x³ + 3/2 x + 1/2 between."""
    inside = x.clamp(-0.5, 0.5)
    return -2 * inside**3 + 1.5 * inside + 0.5


def mixed(weights: Tensor, parts: Sequence[Tensor]) -> Tensor:
    """Σ_e w_e x_e for each sample; weights `[B, E]`, parts `[B, ...]`."""
    stacked = torch.stack(list(parts), dim=1)
    around = (1,) * (stacked.dim() - 2)
    return (weights.view(*weights.shape, *around) * stacked).sum(1)
