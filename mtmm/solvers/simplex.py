"""Problems over the simplex: weights that are at least 0 and sum to 1."""

from __future__ import annotations

import torch
from torch import Tensor

from mtmm.solvers.nonnegative import nonnegative_minimum


def shortest(gramian: Tensor, allowed: Tensor) -> Tensor:
    """The α `[T]` of the simplex that minimises αᵀGα, 0 where not `allowed` (boolean `[T]`).

    With s > 0, min ½ xᵀ(G + s 11ᵀ)x − s 1ᵀx over x ≥ 0 has the optimality conditions of this
    problem for α = x / Σx, also where 0 is among the combinations.
    """
    squares = gramian.diagonal()
    scale = torch.where(allowed & (squares > 0), squares, torch.inf).amin()
    scale = torch.where(scale.isfinite(), scale, 1.0)
    # s is the smallest square: a larger one would drown rows as short as that.
    matrix = gramian / scale + 1.0
    ones = torch.ones_like(gramian[:, :1])
    x = nonnegative_minimum(matrix, -ones, allowed).squeeze(1)
    return x / x.sum()


def projection(point: Tensor) -> Tensor:
    """The nearest point of the simplex to `point` `[T]` (Held, Wolfe & Crowder 1974)."""
    ordered = point.sort(descending=True).values
    excess = ordered.cumsum(0) - 1
    counts = torch.arange(1, len(point) + 1, device=point.device, dtype=point.dtype)
    inside = ordered - excess / counts > 0
    last = inside.sum() - 1
    shift = (excess / counts).gather(0, last[None])
    return (point - shift).clamp(min=0)
