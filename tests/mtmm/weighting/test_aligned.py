from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtmm.weighting.aligned import AlignedMTL


def step(rows: Tensor, rank_tolerance: float = 1e-6) -> Tensor:
    method, losses = AlignedMTL(rank_tolerance=rank_tolerance), torch.ones(len(rows)).to(rows)
    state = method.init(len(rows), device=rows.device, dtype=rows.dtype)
    weights, after = method.step(state, losses, rows @ rows.mT)
    assert not int(after["fallbacks"])
    return weights


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def aligned(rows: Tensor, rank: int) -> Tensor:
    """σ_r U Vᵀ 1/T from the singular values: components of equal length, the r-th one's."""
    left, values, right = torch.linalg.svd(rows, full_matrices=False)
    equal = values[rank - 1] * left[:, :rank] @ right[:rank]
    mean: Tensor = equal.mean(0)
    return mean


@pytest.mark.parametrize(("tasks", "rank"), [(2, 2), (5, 5), (8, 8), (5, 2), (6, 1)])
def test_components_are_as_long_as_the_shortest_that_is_not_0(tasks: int, rank: int) -> None:
    for seed in range(5):
        rows = normal(tasks, rank, seed=seed) @ normal(rank, 12, seed=seed + 50)
        torch.testing.assert_close(step(rows) @ rows, aligned(rows, rank))


def test_orthogonal_gradients_become_as_long_as_the_shortest() -> None:
    rows = torch.diag(torch.tensor([0.5, 2.0, 10.0], dtype=torch.float64))
    torch.testing.assert_close((step(rows) @ rows).tolist(), [0.5 / 3] * 3)


def test_equal_gradients_are_kept() -> None:
    rows = normal(1, 6, seed=0).repeat(4, 1)
    torch.testing.assert_close(step(rows) @ rows, rows[0])


def test_a_component_below_the_tolerance_does_not_count() -> None:
    rows = torch.diag(torch.tensor([1.0, 0.5, 0.01], dtype=torch.float64))
    # Eigenvalues are 1, 0.25 and 1e-4.
    with_it = torch.tensor([0.01, 0.01, 0.01]).double() / 3
    torch.testing.assert_close(step(rows, 0.9e-4) @ rows, with_it)
    without = torch.tensor([0.5, 0.5, 0.0]).double() / 3
    torch.testing.assert_close(step(rows, 1.1e-4) @ rows, without)
