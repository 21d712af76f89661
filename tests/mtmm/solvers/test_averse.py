from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtmm.solvers.averse import averse

sizes = pytest.mark.parametrize("size", [2, 3, 10, 11, 25])


def jacobian(size: int, seed: int) -> Tensor:
    """Rows with a common descent direction, of different lengths."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(size, 30, generator=generator, dtype=torch.float64)
    return rows * torch.exp(torch.randn(size, 1, generator=generator, dtype=torch.float64))


def equal(size: int) -> Tensor:
    return torch.full((size,), 1 / size, dtype=torch.float64)


def everything(size: int) -> Tensor:
    return torch.ones(size, dtype=torch.bool)


@sizes
@pytest.mark.parametrize("c", [0.05, 0.5, 0.95])
def test_no_other_point_of_the_simplex_is_better(size: int, c: float) -> None:
    """The objective is convex: its slope at w must not fall towards any corner."""
    for seed in range(5):
        rows = jacobian(size, seed)
        found, solved = averse(rows @ rows.mT, equal(size), c, everything(size))
        assert solved
        w = found / found.sum()
        assert (w >= 0).all()
        combined, mean = w @ rows, rows.mean(0)
        radius = c * torch.linalg.vector_norm(mean)
        slope = rows @ mean + radius * (rows @ combined) / torch.linalg.vector_norm(combined)
        assert (slope - w @ slope >= -1e-9 * slope.abs().amax()).all()
        torch.testing.assert_close(torch.linalg.vector_norm(found @ rows), radius)


@sizes
def test_orthogonal_tasks_of_one_length_in_closed_form(size: int) -> None:
    """All of them count, and the mean is what it is moved along."""
    gramian = 4.0 * torch.eye(size, dtype=torch.float64)
    found, solved = averse(gramian, equal(size), 0.5, everything(size))
    assert solved
    torch.testing.assert_close(found, 0.5 * equal(size))


def test_what_is_not_active_has_no_weight() -> None:
    for size in (6, 13):
        rows = jacobian(size, 1)
        active = torch.arange(size) % 3 != 1
        rows = rows * active[:, None]
        mean = active.double() / active.sum()
        found, solved = averse(rows @ rows.mT, mean, 0.5, active)
        rest = rows[active]
        count = len(rest)
        alone, also = averse(rest @ rest.mT, equal(count), 0.5, everything(count))
        assert solved
        assert also
        assert not found[~active].any()
        torch.testing.assert_close(found[active], alone)


@pytest.mark.parametrize("rows", [[[1.0, 0], [-1, 0]], [[1.0, 0], [-1, 0], [0, 1]]])
def test_it_says_where_there_is_no_direction(rows: list[list[float]]) -> None:
    """Where g_w is 0 at the minimum: g_0 is 0, or no combination points away from it."""
    matrix = torch.tensor(rows, dtype=torch.float64)
    _, solved = averse(matrix @ matrix.mT, equal(len(rows)), 0.9, everything(len(rows)))
    assert not solved


def test_a_combination_that_is_0_but_for_rounding_is_no_direction() -> None:
    rows = torch.tensor([[1.0, 2, 0], [-1, -2, 0], [2, -1, 1]], dtype=torch.float64)
    for seed in range(50):
        generator = torch.Generator().manual_seed(seed)
        turn = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64)).Q
        turned = rows @ turn
        _, solved = averse(turned @ turned.mT, equal(3), 0.5, everything(3))
        assert not solved


@pytest.mark.parametrize("size", [4, 12])
def test_vmap_lifts_it(size: int) -> None:
    """Which nothing that asks for a number could be."""
    gramians = torch.stack([rows @ rows.mT for rows in (jacobian(size, s) for s in range(3))])
    lifted = torch.vmap(lambda matrix: averse(matrix, equal(size), 0.5, everything(size)))
    together, solved = lifted(gramians)
    assert solved.tolist() == [True] * 3
    for found, matrix in zip(together, gramians, strict=True):
        torch.testing.assert_close(found, averse(matrix, equal(size), 0.5, everything(size))[0])
