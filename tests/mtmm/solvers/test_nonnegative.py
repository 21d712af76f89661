"""Quadratic programs over x ≥ 0 against SciPy's non-negative least squares."""

from __future__ import annotations

import pytest
import torch
from scipy.optimize import nnls
from torch import Tensor

from mtmm.solvers.nonnegative import nonnegative_minimum, residual

# On either side of where all supports are tried.
sizes = pytest.mark.parametrize("size", [1, 2, 5, 10, 11, 16, 40])


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def problem(size: int, rank: int, columns: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """A with M = AAᵀ, targets B `[rank, K]`, and q = −AB: ½ xᵀMx + qᵀx is ½‖Aᵀx − b‖²."""
    rows, targets = normal(size, rank, seed=seed), normal(rank, columns, seed=seed + 1)
    return rows, targets, -rows @ targets


def everything(size: int) -> Tensor:
    return torch.ones(size, dtype=torch.bool)


@sizes
@pytest.mark.parametrize("rank", [1, 3, 45])
def test_the_value_is_that_of_nonnegative_least_squares(size: int, rank: int) -> None:
    """For a singular M too: Aᵀx is unique though x is not."""
    for seed in range(0, 20, 2):
        rows, targets, q = problem(size, rank, 3, seed)
        x = nonnegative_minimum(rows @ rows.mT, q, everything(size))
        assert x.shape == q.shape
        assert (x >= 0).all()
        for found, target in zip(x.mT, targets.mT, strict=True):
            expected, _ = nnls(rows.mT.numpy(), target.numpy(), maxiter=10_000)
            wanted = rows.mT @ torch.from_numpy(expected)
            torch.testing.assert_close(rows.mT @ found, wanted, rtol=0, atol=1e-8)


@sizes
def test_scales_of_coordinates_do_not_matter(size: int) -> None:
    """With M and q in other units x is the same in those units, at ratios of 10¹²."""
    rows, _, q = problem(size, size + 5, 2, seed=3)
    matrix = rows @ rows.mT
    units = 10 ** torch.linspace(-6, 6, size, dtype=torch.float64)
    plain = nonnegative_minimum(matrix, q, everything(size))
    scaled = nonnegative_minimum(
        matrix * units[:, None] * units, q * units[:, None], everything(size)
    )
    torch.testing.assert_close(scaled * units[:, None], plain, rtol=1e-6, atol=1e-9)


@sizes
@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_each_column_of_q_has_a_scale_of_its_own(size: int, factor: float) -> None:
    rows, _, q = problem(size, size + 5, 2, seed=4)
    matrix, factors = rows @ rows.mT, torch.tensor([factor, 1.0], dtype=torch.float64)
    plain = nonnegative_minimum(matrix, q, everything(size))
    scaled = nonnegative_minimum(matrix, q * factors, everything(size))
    torch.testing.assert_close(scaled / factors, plain, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("size", [5, 10, 11, 16])
def test_what_is_not_allowed_is_0_and_leaves_the_rest_as_without_it(size: int) -> None:
    rows, targets, _ = problem(size, size + 2, 2, seed=5)
    allowed = torch.arange(size) % 3 != 1
    rows[~allowed] -= 3 * rows[allowed].sum(0)  # what is allowed pulls the others up
    matrix, q = rows @ rows.mT, -rows @ targets
    x = nonnegative_minimum(matrix, q, allowed)
    assert not x[~allowed].any()
    smaller = everything(int(allowed.sum()))
    alone = nonnegative_minimum(matrix[allowed][:, allowed], q[allowed], smaller)
    torch.testing.assert_close(x[allowed], alone, rtol=1e-8, atol=1e-10)


@sizes
def test_it_is_0_where_nothing_pulls(size: int) -> None:
    rows, _, _ = problem(size, 3, 1, seed=6)
    for q in (torch.zeros(size, 1).double(), torch.ones(size, 1).double()):
        x = nonnegative_minimum(rows @ rows.mT, q, everything(size))
        torch.testing.assert_close(x, torch.zeros_like(x), rtol=0, atol=1e-12)


def test_the_residual_is_0_at_the_answer_alone() -> None:
    matrix = torch.eye(2, dtype=torch.float64)
    q = torch.tensor([[-2.0], [1.0]], dtype=torch.float64)
    candidates = torch.tensor([[2.0, 0], [0, 0], [2, 1], [2, -1]], dtype=torch.float64)
    found = residual(matrix, q, candidates[:, :, None], everything(2))
    assert found.squeeze(1).tolist() == [0, 2, 1, 1]
    forbidden = torch.tensor([False, True])
    assert residual(matrix, q, candidates[:1, :, None], forbidden).tolist() == [[2]]


@pytest.mark.parametrize("size", [4, 12])
def test_vmap_lifts_it(size: int) -> None:
    """Which nothing that asks for a number could be."""
    problems = [problem(size, size, 2, seed) for seed in range(0, 6, 2)]
    matrices = torch.stack([rows @ rows.mT for rows, _, _ in problems])
    linear = torch.stack([q for _, _, q in problems])
    allowed = everything(size).repeat(3, 1)
    allowed[1, 0] = False
    together = torch.vmap(nonnegative_minimum)(matrices, linear, allowed)
    for given in zip(together, matrices, linear, allowed, strict=True):
        torch.testing.assert_close(given[0], nonnegative_minimum(*given[1:]))
