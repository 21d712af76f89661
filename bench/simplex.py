"""Points of the simplex of task weights."""

from __future__ import annotations

from functools import cache

import torch

_DIGITS = 3  # readable weights; they sum to the number of tasks all the same


@cache
def simplex_points(num_tasks: int, count: int) -> tuple[tuple[float, ...], ...]:
    """`count` weight vectors of `num_tasks` numbers that sum to `num_tasks`.

    The centre first; the others are Sobol points of a fixed seed, spread evenly over the simplex
    by normalised exponential spacings (uniform like a flat Dirichlet distribution).
    """
    centre = torch.ones(1, num_tasks, dtype=torch.float64)
    sobol = torch.quasirandom.SobolEngine(num_tasks, scramble=True, seed=0)  # type: ignore[no-untyped-call]
    uniform = sobol.draw(count - 1, dtype=torch.float64) if count > 1 else centre[:0]
    spacings = -torch.log(uniform.clamp(1e-9, 1 - 1e-9))
    points = torch.cat([centre, num_tasks * spacings / spacings.sum(1, keepdim=True)])
    return tuple(_rounded(point, num_tasks) for point in points.tolist())


def _rounded(point: list[float], total: int) -> tuple[float, ...]:
    """The point to three digits; its largest number takes up what rounding left."""
    rounded = [round(value, _DIGITS) for value in point]
    largest = rounded.index(max(rounded))
    rest = sum(value for i, value in enumerate(rounded) if i != largest)
    rounded[largest] = round(total - rest, _DIGITS)
    return tuple(rounded)
