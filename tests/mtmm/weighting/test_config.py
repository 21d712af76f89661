"""ConFIG against the pseudo-inverse of the unit gradients that its paper has."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mtmm.weighting import build
from tests.mtmm.weighting.jacobians import random_jacobians


def combined(rows: Tensor) -> tuple[Tensor, bool]:
    """The gradient, and whether there was an answer."""
    weighting = build("config", num_tasks=len(rows), dtype=rows.dtype)
    return weighting.combine(rows), not int(weighting.state["fallbacks"])


def paper(rows: Tensor) -> Tensor | None:
    """(Σ g_i · û) û with û along U⁺1; None where that is 0."""
    units = rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    inverse = torch.from_numpy(np.linalg.pinv(units.numpy(), rcond=1e-3))
    direction = inverse.sum(1)
    length = torch.linalg.vector_norm(direction)
    if length < 1e-6:
        return None
    unit = direction / length
    projections: Tensor = (rows @ unit).sum() * unit
    return projections


def test_the_papers_gradient_of_every_kind_of_rows() -> None:
    answered = 0
    for rows in random_jacobians(90):
        found, solved = combined(rows)
        expected = paper(rows)
        assert solved == (expected is not None)
        if expected is None:
            torch.testing.assert_close(found, rows.sum(0))
            continue
        answered += 1
        size = float(torch.linalg.vector_norm(rows, dim=1).sum())
        torch.testing.assert_close(found / size, expected / size, rtol=0, atol=1e-10)
    assert answered > 80


def test_orthogonal_gradients_share_the_sum_of_their_lengths_evenly() -> None:
    lengths = torch.tensor([1.0, 4.0, 7.0], dtype=torch.float64)
    found, solved = combined(torch.diag(lengths))
    assert solved
    torch.testing.assert_close(found, torch.full((3,), 4.0, dtype=torch.float64))


def test_the_length_of_a_gradient_does_not_turn_the_direction() -> None:
    rows = torch.randn(3, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    factors = torch.tensor([[1e-4], [1.0], [1e4]], dtype=torch.float64)
    one, other = combined(rows)[0], combined(factors * rows)[0]
    torch.testing.assert_close(one / one.norm(), other / other.norm())


def test_a_gradient_that_comes_twice_counts_in_the_length_alone() -> None:
    rows = torch.randn(3, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    once, twice = combined(rows)[0], combined(rows[[0, 1, 2, 2]])[0]
    unit = once / once.norm()
    torch.testing.assert_close(twice, once + (rows[2] @ unit) * unit)


def test_opposite_gradients_have_no_direction() -> None:
    rows = torch.tensor([[1.0, 2.0], [-3.0, -6.0]], dtype=torch.float64)
    found, solved = combined(rows)
    assert not solved
    assert torch.equal(found, rows.sum(0))
