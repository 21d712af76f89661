from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtmm.weighting.base import Weighting
from mtmm.weighting.dualproj import DualProj
from mtmm.weighting.pcgrad import PCGrad
from mtmm.weighting.upgrad import UPGrad


def jacobian(tasks: int, seed: int) -> Tensor:
    """Rows at odds: 0 is nearly among their combinations."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(tasks, 10, generator=generator, dtype=torch.float64)
    return rows - 0.8 * rows.mean(0)


def step(method: type[Weighting], rows: Tensor) -> Tensor:
    made, losses = method(), torch.ones(len(rows), dtype=rows.dtype)
    state = made.init(len(rows), device=rows.device, dtype=rows.dtype)
    weights: Tensor = made.step(state, losses, rows @ rows.mT)[0]  # type: ignore[call-arg]
    return weights


def test_without_conflict_it_is_the_mean() -> None:
    weights = step(UPGrad, jacobian(4, 0).abs())
    torch.testing.assert_close(weights.tolist(), [0.25] * 4)


def test_for_two_tasks_it_is_half_of_pcgrad() -> None:
    for seed in range(10):
        rows = jacobian(2, seed)
        torch.testing.assert_close(2 * step(UPGrad, rows), step(PCGrad, rows))


@pytest.mark.parametrize("tasks", [5, 12])
def test_every_gradient_is_projected_and_not_only_their_mean(tasks: int) -> None:
    """So nothing is orthogonal to the result that the mean alone conflicts with."""
    for seed in range(5):
        rows = jacobian(tasks, seed)
        weights = step(UPGrad, rows)
        assert (weights >= 1 / tasks - 1e-12).all()
        assert (rows @ (weights @ rows) >= -1e-9).all()
        assert not torch.allclose(weights, step(DualProj, rows), rtol=1e-3)
