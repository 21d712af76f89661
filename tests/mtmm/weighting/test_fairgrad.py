from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtmm.weighting.fairgrad import FairGrad
from mtmm.weighting.nash import NashMTL


def jacobian(seed: int) -> Tensor:
    """Independent rows of different lengths."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(4, 12, generator=generator, dtype=torch.float64)
    return rows * torch.exp(torch.randn(4, 1, generator=generator, dtype=torch.float64))


def step(method: NashMTL | FairGrad, rows: Tensor) -> Tensor:
    losses = torch.ones(len(rows), dtype=rows.dtype)
    state = method.init(len(rows), device=rows.device, dtype=rows.dtype)
    weights, after = method.step(state, losses, rows @ rows.mT)
    assert not int(after["fallbacks"])
    return weights


@pytest.mark.parametrize("alpha", [0.3, 1.0, 3.0])
def test_decreases_are_a_power_of_the_weights(alpha: float) -> None:
    rows = jacobian(0)
    weights = step(FairGrad(alpha=alpha, max_norm=None), rows)
    torch.testing.assert_close(rows @ (weights @ rows), weights ** (-1 / alpha))


def test_the_larger_alpha_the_more_the_slowest_task_counts() -> None:
    def slowest(alpha: float, rows: Tensor) -> float:
        combined = step(FairGrad(alpha=alpha), rows) @ rows
        return float((rows @ combined).amin() / torch.linalg.vector_norm(combined))

    for seed in range(5):
        rows = jacobian(seed)
        assert slowest(0.3, rows) < slowest(1.0, rows) < slowest(3.0, rows)


def test_fairness_of_1_is_the_bargain() -> None:
    rows = jacobian(1)
    torch.testing.assert_close(step(FairGrad(alpha=1.0), rows), step(NashMTL(), rows))


def test_a_norm_above_the_bound_is_brought_down_to_it_and_no_other() -> None:
    rows = jacobian(2)
    free = step(FairGrad(alpha=2.0, max_norm=None), rows)
    norm = float(torch.linalg.vector_norm(free @ rows))
    bound, loose = (FairGrad(alpha=2.0, max_norm=share * norm) for share in (0.25, 4.0))
    torch.testing.assert_close(step(bound, rows), 0.25 * free)
    torch.testing.assert_close(step(loose, rows), free)
