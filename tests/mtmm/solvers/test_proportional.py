from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtmm.solvers.proportional import proportional

powers = pytest.mark.parametrize("power", [0.2, 0.5, 1.0, 2.0, 5.0])


def gramian(size: int, seed: int) -> Tensor:
    """Of independent rows whose lengths differ: some direction descends for all."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(size, size + 20, generator=generator, dtype=torch.float64)
    rows = rows * torch.exp(torch.randn(size, 1, generator=generator, dtype=torch.float64))
    return rows @ rows.mT


def everything(size: int) -> Tensor:
    return torch.ones(size, dtype=torch.bool)


@powers
@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_the_equation_holds(power: float, size: int) -> None:
    for seed in range(4):
        matrix = gramian(size, seed)
        weights, solved = proportional(matrix, power, everything(size))
        assert solved
        assert (weights > 0).all()
        torch.testing.assert_close(matrix @ weights, weights**-power, rtol=1e-6, atol=0)


@powers
def test_orthogonal_tasks_in_closed_form(power: float) -> None:
    squares = torch.tensor([1e-6, 1.0, 4.0, 1e6], dtype=torch.float64)
    weights, solved = proportional(torch.diag(squares), power, everything(4))
    assert solved
    torch.testing.assert_close(weights, squares ** (-1 / (1 + power)), rtol=1e-6, atol=0)


@powers
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_weights_follow_the_scale(power: float, scale: float) -> None:
    matrix = gramian(5, 0)
    plain, _ = proportional(matrix, power, everything(5))
    scaled, solved = proportional(scale * matrix, power, everything(5))
    assert solved
    torch.testing.assert_close(scaled, plain * scale ** (-1 / (1 + power)), rtol=1e-6, atol=0)


@powers
@pytest.mark.parametrize("rows", [[[1.0, 0], [-2, 0]], [[1.0, 0], [0, 1], [-1, -1]]])
def test_there_is_none_where_no_direction_descends_for_all(
    power: float, rows: list[list[float]]
) -> None:
    matrix = torch.tensor(rows, dtype=torch.float64)
    _, solved = proportional(matrix @ matrix.mT, power, everything(len(rows)))
    assert not solved


@powers
def test_what_is_not_active_does_not_matter(power: float) -> None:
    matrix, active = gramian(6, 2), torch.tensor([True, True, False, True, False, True])
    zeroed = matrix * active[:, None] * active
    weights, solved = proportional(zeroed, power, active)
    alone, _ = proportional(matrix[active][:, active], power, everything(4))
    assert solved
    torch.testing.assert_close(weights[active], alone, rtol=1e-6, atol=0)


@powers
def test_vmap_lifts_it(power: float) -> None:
    """Which nothing that asks for a number could be."""
    matrices = torch.stack([gramian(4, seed) for seed in range(3)])
    together, solved = torch.vmap(lambda m: proportional(m, power, everything(4)))(matrices)
    assert solved.tolist() == [True] * 3
    for found, matrix in zip(together, matrices, strict=True):
        torch.testing.assert_close(found, proportional(matrix, power, everything(4))[0])
