"""The inner problem of CAGrad: a linear function plus a norm over the simplex."""

from __future__ import annotations

import torch
from torch import Tensor

from mtmm.solvers.supports import MOST, best, solved_on, supports

_ITERATIONS = 60
_TO_BOUNDARY = 0.99
_TOLERANCE = 1e-7
_SHORTEST = 1e-6


def averse(gramian: Tensor, mean: Tensor, c: float, active: Tensor) -> tuple[Tensor, Tensor]:
    """κw `[T]` for the w of the simplex that minimises g_w·g_0 + c‖g_0‖ ‖g_w‖, and whether it is
    found.

    g_0 has weights `mean` `[T]`, and κ = c‖g_0‖ / ‖g_w‖. Where the minimum has g_w = 0 there is no
    κ. w is 0 where not `active` (boolean `[T]`). On a support S the conditions (b + κGw)_S = ν,
    Σw = 1 and κ²wᵀGw = C, with b = Gw_0 and C = c²‖g_0‖², have one solution in closed form: all
    supports of up to ten tasks are tried at once. For more, an interior-point method finds the
    support.
    """
    size = gramian.diagonal().amax()
    matrix = gramian / torch.where(size > 0, size, 1.0)
    pull = matrix @ mean
    radius = c**2 * (mean @ pull)
    if len(gramian) <= MOST:
        chosen = supports(len(gramian), gramian.device)
    else:
        chosen = _likely_supports(matrix, pull, radius, active)
    candidates, wrong = _on_supports(matrix, pull, radius, active, chosen)
    found = best(candidates.unsqueeze(2), wrong.unsqueeze(1)).squeeze(1)
    return found, wrong.amin() < _TOLERANCE


def _on_supports(
    matrix: Tensor, pull: Tensor, radius: Tensor, active: Tensor, chosen: Tensor
) -> tuple[Tensor, Tensor]:
    """κw `[N, T]` for each support `[N, T]`, and how far each is from optimal `[N]`."""
    right = torch.stack([torch.ones_like(pull), pull], 1)
    ones, pulls = solved_on(matrix, right, chosen).unbind(2)
    a = ones.sum(1)
    e = pulls.sum(1)
    f = (pulls * (pull * chosen)).sum(1)
    root = e.square() - a * (f - radius)
    level = (e + root.clamp(min=0).sqrt()) / a
    kappa = level * a - e
    pulled = level[:, None] * ones - pulls
    # In units of weights that sum to 1: κw itself is as large as 1 / ‖g_w‖.
    weights = pulled / kappa[:, None]
    slack = pull + pulled @ matrix - level[:, None]
    wrong = torch.minimum(weights, slack).abs()
    wrong = torch.where(active, wrong, weights.abs()).amax(1)
    length = (radius / kappa.square()).sqrt()
    sound = (root >= 0) & (kappa > 0) & (length > _SHORTEST) & wrong.isfinite()
    return torch.where(sound[:, None], pulled, 0.0), torch.where(sound, wrong, torch.inf)


def _likely_supports(matrix: Tensor, pull: Tensor, radius: Tensor, active: Tensor) -> Tensor:
    """Supports `[T, T]` of the largest weights of an interior point: the first 1, 2, ..., T."""
    count = len(matrix)
    w = active.double() / active.sum().clamp(min=1) + 1e-12
    y = torch.ones_like(w)
    level = torch.zeros_like(radius)
    for _ in range(_ITERATIONS):
        w, y, level = _step(matrix, pull, radius, active, w, y, level)
    order = (w / y).argsort(descending=True)
    ranks = torch.empty_like(order).scatter(0, order, torch.arange(count, device=w.device))
    return (ranks <= torch.arange(count, device=w.device)[:, None]).double() * active


def _step(
    matrix: Tensor,
    pull: Tensor,
    radius: Tensor,
    active: Tensor,
    w: Tensor,
    y: Tensor,
    level: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """One primal-dual step of the barrier method on pull·w + √(radius) ‖g_w‖ over the simplex."""
    product = matrix @ w
    length = (w @ product).clamp(min=1e-30).sqrt()
    strength = radius.sqrt() / length
    gradient = torch.where(active, pull + strength * product, 1e6)
    hessian = strength * (matrix - product[:, None] * product / length.square())
    barrier = 0.1 * (w * y).mean()
    left = hessian + torch.diag(y / w)
    right = torch.stack([barrier / w - gradient + level, torch.ones_like(w)], 1)
    first, ones = torch.linalg.solve_ex(left, right).result.unbind(1)
    change = (1 - w.sum() - first.sum()) / ones.sum()
    dw = first + change * ones
    dy = barrier / w - y - y / w * dw
    steps, values = torch.cat([dw, dy]), torch.cat([w, y])
    limit = torch.where(steps < 0, -values / steps, torch.inf).amin()
    share = (_TO_BOUNDARY * limit).clamp(max=1.0)
    sound = steps.isfinite().all()
    w = torch.where(sound, w + share * dw, w).clamp(min=1e-140)
    y = torch.where(sound, y + share * dy, y).clamp(min=1e-140)
    return w, y, torch.where(sound, level + share * change, level)
