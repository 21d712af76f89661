"""Convex quadratic programs over x ≥ 0."""

from __future__ import annotations

import torch
from torch import Tensor

from mtmm.solvers.supports import MOST, best, solved_on, supports

_ITERATIONS = 40
_TO_BOUNDARY = 0.995


def nonnegative_minimum(matrix: Tensor, linear: Tensor, allowed: Tensor) -> Tensor:
    """The x ≥ 0 `[T, K]` that minimise ½ xᵀMx + qᵀx, with M `[T, T]` and a column of q `[T, K]`
    each.

    M is symmetric and positive semidefinite, in float64; x is 0 where `allowed` (boolean `[T]`) is
    false. Where M is singular Mx is unique and x is not. Exact for up to ten coordinates, by all
    supports: one with linearly independent columns always has a minimum (Carathéodory). For more, a
    primal-dual interior-point method (Mehrotra 1992) of a fixed number of iterations, and one exact
    solution on the support that it finds.
    """
    diagonal = matrix.diagonal()
    scale = torch.where(diagonal > 0, diagonal, 1.0).rsqrt()
    unit = matrix * scale[:, None] * scale
    q = linear * scale[:, None]
    size = q.abs().amax(0)
    size = torch.where(size > 0, size, 1.0)
    way = _by_supports if len(matrix) <= MOST else _by_interior_points
    x = way(unit, q / size, allowed) * scale[:, None] * size
    return torch.where(allowed[:, None], x.clamp(min=0), 0.0)


def residual(matrix: Tensor, linear: Tensor, x: Tensor, allowed: Tensor) -> Tensor:
    """How far x `[..., T, K]` is from optimal: the largest |min(x, Mx + q)|, `[..., K]`."""
    gap = torch.minimum(x, matrix @ x + linear).abs()
    return torch.where(allowed[:, None], gap, x.abs()).amax(-2)


def _by_supports(matrix: Tensor, linear: Tensor, allowed: Tensor) -> Tensor:
    x = solved_on(matrix, -linear, supports(len(matrix), matrix.device))
    return best(x, residual(matrix, linear, x, allowed))


def _by_interior_points(matrix: Tensor, linear: Tensor, allowed: Tensor) -> Tensor:
    # What is not allowed gets a problem of its own, whose solution is 0.
    inside = allowed.double()
    matrix = matrix * inside[:, None] * inside + torch.diag(1 - inside)
    q = torch.where(allowed[:, None], linear, 1.0).mT  # a problem a row
    x, y = torch.ones_like(q), torch.ones_like(q)
    for _ in range(_ITERATIONS):
        x, y = _step(matrix, q, x, y)
    chosen = (x > y).double()
    polished = _on_support(matrix, -q, chosen)
    both = torch.stack([x, polished]).mT
    return best(both, residual(matrix, q.mT, both, allowed))


def _step(matrix: Tensor, q: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """One predictor-corrector step; x and its dual y are `[K, T]`."""
    gap = (x * y).mean(1, keepdim=True)
    wrong = x @ matrix + q - y
    barrier = matrix + torch.diag_embed(y / x)
    factors = torch.linalg.lu_factor_ex(barrier)

    def direction(target: Tensor) -> tuple[Tensor, Tensor]:
        right = (target / x - wrong).unsqueeze(2)
        dx = torch.linalg.lu_solve(factors.LU, factors.pivots, right).squeeze(2)
        return dx, target / x - y / x * dx

    dx, dy = direction(-x * y)
    length = _length(x, y, dx, dy)
    after = ((x + length * dx) * (y + length * dy)).mean(1, keepdim=True)
    centre = gap * (after / gap) ** 3
    dx, dy = direction(centre - x * y - dx * dy)
    length = _TO_BOUNDARY * _length(x, y, dx, dy)
    sound = (dx.isfinite() & dy.isfinite()).all(1, keepdim=True)
    x = torch.where(sound, x + length * dx, x)
    y = torch.where(sound, y + length * dy, y)
    # The products of optimal pairs are 0: without a floor a later iteration divides 0 by 0.
    return x.clamp(min=1e-140), y.clamp(min=1e-140)


def _length(x: Tensor, y: Tensor, dx: Tensor, dy: Tensor) -> Tensor:
    """How far along both directions x and y stay at least 0, at most 1: `[K, 1]`."""
    both, step = torch.cat([x, y], 1), torch.cat([dx, dy], 1)
    limits = torch.where(step < 0, -both / step, torch.inf)
    return limits.amin(1, keepdim=True).clamp(max=1.0)


def _on_support(matrix: Tensor, right: Tensor, chosen: Tensor) -> Tensor:
    """`solved_on` for a problem a row: right-hand sides and supports are `[K, T]`."""
    reduced = matrix * chosen[:, :, None] * chosen[:, None, :] + torch.diag_embed(1 - chosen)
    x: Tensor = torch.linalg.solve_ex(reduced, (right * chosen).unsqueeze(2)).result
    return x.squeeze(2)
