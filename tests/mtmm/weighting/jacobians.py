"""Random Jacobians to test methods with, and how far two combinations of their rows are apart."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

KINDS = ("conflicting", "aligned", "low_rank")


def random_jacobians(count: int, seed: int = 0) -> Iterator[Tensor]:
    """Rows `[T, P]` in float64: T from 2 to 10, of every kind, at scales from 1e-6 to 1e6."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    for i in range(count):
        tasks = 2 + i % 9
        kind = KINDS[i % 3]
        rows = normal(tasks, 20)
        if kind == "conflicting":
            rows = rows - 0.9 * rows.mean(0) - 0.5 * rows.roll(1, 0)
        elif kind == "aligned":
            rows = rows + 2 * normal(1, 20)
        else:
            rank = 1 + (i // 27) % max(1, tasks - 1)
            rows = normal(tasks, rank) @ normal(rank, 20)
        sizes = torch.exp(normal(tasks, 1))  # tasks of different scales
        yield rows * sizes * 10 ** (12 * ((i * 7) % count) / (count - 1) - 6)


def distance(jacobian: Tensor, a: Tensor, b: Tensor) -> float:
    """‖Jᵀ(a − b)‖ / (‖a‖₁ max ‖g_i‖) of two weightings `[T]`."""
    apart = torch.linalg.vector_norm((a - b) @ jacobian)
    size = a.abs().sum() * torch.linalg.vector_norm(jacobian, dim=1).amax()
    return float(apart / size)


def scale_free(jacobian: Tensor) -> Tensor:
    """The Jacobian divided by its longest row, for references that know no scale."""
    scaled: Tensor = jacobian / torch.linalg.vector_norm(jacobian, dim=1).amax()
    return scaled
