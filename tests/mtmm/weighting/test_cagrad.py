from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mtmm.weighting.cagrad import CAGrad


def jacobian(seed: int, tasks: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(tasks, 8, generator=generator, dtype=torch.float64)
    return rows - 0.5 * rows.mean(0)


def step(rows: Tensor, **settings: Any) -> tuple[Tensor, int]:
    method, losses = CAGrad(**settings), torch.ones(len(rows), dtype=rows.dtype)
    state = method.init(len(rows), device=rows.device, dtype=rows.dtype)
    weights, after = method.step(state, losses, rows @ rows.mT)
    return weights, int(after["fallbacks"])


@pytest.mark.parametrize("c", [0.1, 0.5, 0.9])
def test_it_is_best_for_the_worst_task_within_its_distance_of_the_mean(c: float) -> None:
    for seed in range(5):
        rows = jacobian(seed)
        mean = rows.mean(0)
        weights, fallbacks = step(rows, c=c)
        found = weights @ rows
        assert not fallbacks
        radius = c * torch.linalg.vector_norm(mean)
        torch.testing.assert_close(torch.linalg.vector_norm(found - mean), radius)
        worst = (rows @ found).amin()
        generator = torch.Generator().manual_seed(seed)
        for size in (0.1, 1.0, 10.0):
            noise = torch.randn(300, 8, generator=generator, dtype=torch.float64)
            ways = found - mean + size * radius * noise
            others = mean + radius * ways / torch.linalg.vector_norm(ways, dim=1, keepdim=True)
            assert ((others @ rows.mT).amin(1) <= worst + 1e-9).all()


@pytest.mark.parametrize("tasks", [2, 12])
def test_without_distance_it_is_the_mean(tasks: int) -> None:
    weights, fallbacks = step(jacobian(0, tasks), c=0.0)
    assert not fallbacks
    torch.testing.assert_close(weights.tolist(), [1 / tasks] * tasks)


@pytest.mark.parametrize("rescale", ["none", "1+c", "1+c^2"])
def test_where_its_direction_is_not_defined_it_is_the_mean_as_it_is(rescale: str) -> None:
    """Here the mean is not 0: no combination of the gradients points away from it."""
    rows = torch.tensor([[1.0, 0], [-1, 0], [0, 1]], dtype=torch.float64)
    weights, fallbacks = step(rows, rescale=rescale)
    assert fallbacks == 1
    assert weights.tolist() == [1 / 3] * 3
