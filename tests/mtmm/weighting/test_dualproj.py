from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtmm.weighting.dualproj import DualProj


def jacobian(tasks: int, seed: int) -> Tensor:
    """Rows at odds, of lengths so different that their mean is at odds with some."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(tasks, 10, generator=generator, dtype=torch.float64)
    return (rows - 0.9 * rows.mean(0)) * torch.linspace(1, 20, tasks).double()[:, None]


def step(rows: Tensor) -> Tensor:
    made, losses = DualProj(), torch.ones(len(rows), dtype=rows.dtype)
    state = made.init(len(rows), device=rows.device, dtype=rows.dtype)
    weights, after = made.step(state, losses, rows @ rows.mT)
    assert not int(after["fallbacks"])
    return weights


@pytest.mark.parametrize("tasks", [2, 5, 12])
def test_it_is_the_nearest_to_the_mean_that_conflicts_with_no_task(tasks: int) -> None:
    """What was added to the mean is a combination of gradients orthogonal to the result."""
    for seed in range(5):
        rows = jacobian(tasks, seed)
        assert (rows @ rows.mean(0) < 0).any()
        added = step(rows) - 1 / tasks
        found = rows.mean(0) + added @ rows
        assert (added >= -1e-12).all()
        assert added.amax() > 1e-3
        assert (rows @ found >= -1e-8).all()
        assert (added * (rows @ found)).abs().amax() <= 1e-8


def test_a_mean_that_conflicts_with_no_task_is_kept() -> None:
    """Though the tasks conflict with each other."""
    rows = torch.tensor([[1.0, 0.0], [-0.2, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(step(rows).tolist(), [0.5, 0.5])
