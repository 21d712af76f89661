"""Weights in proportion to a power of what they bring: Gw = c w^{−p}."""

from __future__ import annotations

import torch
from torch import Tensor

_ITERATIONS, _MANY_ITERATIONS = 20, 60
_TOLERANCE = 1e-6
_TRIED = 8  # step lengths: the longest, half of it, a quarter, ...


def proportional(gramian: Tensor, power: float, active: Tensor) -> tuple[Tensor, Tensor]:
    """The w > 0 `[T]` with Gw = w^{−power}, and whether there is one (boolean scalar).

    There is one if and only if some direction descends for all tasks. It minimises the convex
    ½ wᵀGw − Σ w^{1−p}/(1−p) (for p = 1 − Σ log w), by Newton's method with a line search that tries
    eight steps at once; a fixed number of iterations, in float64. Tasks that are not `active`
    (boolean `[T]`) are left out.
    """
    # With w = D v the matrix DGD has a unit diagonal, and right-hand sides c = D^{1−p}.
    scale = torch.where(active, gramian.diagonal(), 1.0).rsqrt()
    inside = active.double()
    matrix = gramian * (scale * inside)[:, None] * (scale * inside) + torch.diag(1 - inside)
    factors = torch.where(active, scale ** (1 - power), 1.0)
    size = factors.log().mean().exp()
    factors = factors / size
    v = _first(matrix, factors, power)
    shares = 0.5 ** torch.arange(_TRIED, device=v.device, dtype=v.dtype)[:, None]
    moderate = 0.4 <= power <= 2.5
    for _ in range(_ITERATIONS if moderate else _MANY_ITERATIONS):
        v = _newton(matrix, factors, power, v, shares)
    wrong = (matrix @ v * v**power / factors - 1).abs().amax()
    weights = v * size ** (1 / (1 + power)) * scale
    return weights, wrong < _TOLERANCE


def _first(matrix: Tensor, factors: Tensor, power: float) -> Tensor:
    """The answer for orthogonal tasks, times what makes it best along its ray."""
    v = factors ** (1 / (1 + power))
    squared = (v @ matrix @ v).clamp(min=1e-12)
    return v * ((factors * v ** (1 - power)).sum() / squared) ** (1 / (1 + power))


def _newton(matrix: Tensor, factors: Tensor, power: float, v: Tensor, shares: Tensor) -> Tensor:
    falls = factors * v**-power
    slope = matrix @ v - falls
    curvature = matrix + torch.diag(power * falls / v)
    step = torch.linalg.solve_ex(curvature, -slope).result
    # At most nine tenths of the way to where a weight would be 0.
    longest = (0.9 / (-step / v).amax().clamp(min=0.9)).clamp(max=1.0)
    tried = v + shares * (longest * step)
    values = 0.5 * ((tried @ matrix) * tried).sum(1) - _gain(tried, factors, power)
    values = torch.where(values.isfinite(), values, torch.inf)
    best = tried.gather(0, values.argmin()[None, None].expand(1, len(v))).squeeze(0)
    return torch.where(best.isfinite().all(), best, v)


def _gain(v: Tensor, factors: Tensor, power: float) -> Tensor:
    if power == 1:
        return (factors * v.log()).sum(-1)
    return (factors * v ** (1 - power)).sum(-1) / (1 - power)
