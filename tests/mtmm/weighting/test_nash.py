from __future__ import annotations

import torch
from torch import Tensor

from mtmm.weighting.nash import NashMTL, bounded


def jacobian(seed: int) -> Tensor:
    """Independent rows of different lengths."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(4, 12, generator=generator, dtype=torch.float64)
    return rows * torch.exp(torch.randn(4, 1, generator=generator, dtype=torch.float64))


def step(method: NashMTL, rows: Tensor) -> Tensor:
    losses = torch.ones(len(rows), dtype=rows.dtype)
    state = method.init(len(rows), device=rows.device, dtype=rows.dtype)
    weights, after = method.step(state, losses, rows @ rows.mT)
    assert not int(after["fallbacks"])
    return weights


def test_no_direction_has_a_larger_product_of_slopes() -> None:
    for seed in range(5):
        rows = jacobian(seed)
        best = step(NashMTL(), rows) @ rows
        best = best / torch.linalg.vector_norm(best)
        assert (rows @ best > 0).all()
        generator = torch.Generator().manual_seed(seed)
        for size in (0.01, 0.3):
            noise = torch.randn(200, 12, generator=generator, dtype=torch.float64)
            others = best + size * noise
            others = others / torch.linalg.vector_norm(others, dim=1, keepdim=True)
            products = (others @ rows.mT).clamp(min=0).prod(1)
            assert (products <= (rows @ best).prod()).all()


def test_the_bargain_does_not_depend_on_a_tasks_scale() -> None:
    factors = torch.tensor([1.0, 1e-3, 20.0, 5.0], dtype=torch.float64)
    method, rows = NashMTL(max_norm=None), jacobian(0)
    scaled = step(method, factors[:, None] * rows)
    torch.testing.assert_close(scaled * factors, step(method, rows))


def test_a_norm_above_the_bound_is_brought_down_to_it_and_no_other() -> None:
    rows = jacobian(2)
    free = step(NashMTL(max_norm=None), rows)
    norm = float(torch.linalg.vector_norm(free @ rows))
    torch.testing.assert_close(step(NashMTL(max_norm=0.25 * norm), rows), 0.25 * free)
    torch.testing.assert_close(step(NashMTL(max_norm=4 * norm), rows), free)


def test_a_combination_that_is_0_has_no_norm_to_bring_down() -> None:
    weights = torch.ones(2, dtype=torch.float64)
    gramian = torch.tensor([[1.0, -1], [-1, 1]], dtype=torch.float64)
    assert torch.equal(bounded(weights, gramian, 1.0), weights)
