from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtmm.solvers.simplex import projection, shortest


def everything(size: int) -> Tensor:
    return torch.ones(size, dtype=torch.bool)


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[3.0, 0], [0, 4]], [16 / 25, 9 / 25]),
        ([[1.0, 0], [2, 1]], [1.0, 0.0]),  # the shorter one lies in front
        ([[1.0, 0], [-3, 0]], [0.75, 0.25]),  # 0 is between them
        ([[1.0, 0], [0, 0]], [0.0, 1.0]),
    ],
)
def test_two_tasks_in_closed_form(rows: list[list[float]], expected: list[float]) -> None:
    jacobian = torch.tensor(rows, dtype=torch.float64)
    for factor in (1e-8, 1.0, 1e8):
        scaled = factor * jacobian
        found = shortest(scaled @ scaled.mT, everything(2))
        torch.testing.assert_close(found.tolist(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [3, 10, 11, 30])
def test_every_row_reaches_at_least_as_far_as_the_shortest_point(size: int) -> None:
    """What makes it the nearest point of the hull to 0: d · g_i ≥ ‖d‖² for all i."""
    for seed in range(10):
        rows = normal(size, 6, seed=seed) + normal(1, 6, seed=seed + 100)
        weights = shortest(rows @ rows.mT, everything(size))
        torch.testing.assert_close(weights.sum().item(), 1.0)
        assert (weights >= 0).all()
        combined = weights @ rows
        assert (rows @ combined >= combined @ combined - 1e-9).all()


def test_what_is_not_allowed_has_no_weight() -> None:
    rows = normal(5, 8, seed=1)
    gramian, allowed = rows @ rows.mT, torch.tensor([True, False, True, True, False])
    weights = shortest(gramian, allowed)
    assert not weights[~allowed].any()
    alone = shortest(gramian[allowed][:, allowed], everything(3))
    torch.testing.assert_close(weights[allowed], alone)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_projection_is_on_the_simplex_and_nearer_than_any_other_point_of_it(size: int) -> None:
    others = torch.distributions.Dirichlet(torch.full((size,), 0.5).double())
    torch.manual_seed(0)
    for seed in range(10):
        point = 2 * normal(size, seed=seed)
        found = projection(point)
        torch.testing.assert_close(found.sum().item(), 1.0)
        assert (found >= 0).all()
        # (point − found) · (other − found) ≤ 0 for all others, corners among them.
        corners = torch.eye(size, dtype=torch.float64)
        rest = torch.cat([corners, others.sample((50,))]) - found
        assert (rest @ (point - found) <= 1e-12).all()


def test_a_point_of_the_simplex_stays() -> None:
    point = torch.tensor([0.2, 0.0, 0.8], dtype=torch.float64)
    torch.testing.assert_close(projection(point), point, rtol=0, atol=1e-15)
