"""Answers in closed form for J = [[-4, 1, 1], [6, 1, 1]], G = [[18, -22], [-22, 38]]."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from mtmm.weighting import build

ROWS = torch.tensor([[-4.0, 1, 1], [6, 1, 1]], dtype=torch.float64)
GRAMIAN = torch.tensor([[18.0, -22], [-22, 38]], dtype=torch.float64)
S, L = math.sqrt(18), math.sqrt(38)
# A first gradient that loses its part along the second, and the other way round.
FIRST, SECOND = [1, 22 / 38], [22 / 18, 1]


def direction(weights: list[float]) -> list[float]:
    return [float(x) for x in torch.tensor(weights, dtype=torch.float64) @ ROWS]


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("mgda", {}, [0.6, 0.4]),
        ("pcgrad", {}, [1 + 22 / 18, 1 + 22 / 38]),
        ("gradvac", {}, [1 + 22 / 18, 1 + 22 / 38]),  # its goal is orthogonal at first
        ("upgrad", {}, [(1 + 22 / 18) / 2, (1 + 22 / 38) / 2]),
        # The mean conflicts with the first gradient alone: its dual weight rises.
        ("dualproj", {}, [22 / 36, 0.5]),
        ("imtl_g", {}, [L / (S + L), S / (S + L)]),
    ],
)
def test_weights(name: str, settings: dict[str, Any], expected: list[float]) -> None:
    weighting = build(name, num_tasks=2, dtype=torch.float64, **settings)
    weights = weighting.weights(torch.ones(2, dtype=torch.float64), GRAMIAN)
    torch.testing.assert_close(weights.tolist(), expected, rtol=1e-12, atol=1e-12)
    assert not int(weighting.state["fallbacks"])


def test_directions_of_the_notes() -> None:
    torch.testing.assert_close(direction([0.6, 0.4]), [0.0, 1.0, 1.0], rtol=0, atol=1e-12)
    both = [a + b for a, b in zip(FIRST, SECOND, strict=True)]
    torch.testing.assert_close(direction(both), [0.58480, 3.80117, 3.80117], rtol=0, atol=5e-6)


def test_two_tasks_bargain_in_inverse_proportion_to_their_norms() -> None:
    for name in ("nash", "fairgrad"):
        weighting = build(name, num_tasks=2, dtype=torch.float64, max_norm=None)
        weights = weighting.weights(torch.ones(2, dtype=torch.float64), GRAMIAN)
        torch.testing.assert_close(weights[0] / weights[1], torch.tensor(L / S).double())
        torch.testing.assert_close(GRAMIAN @ weights, 1 / weights)
        bound = build(name, num_tasks=2, dtype=torch.float64)
        weights = bound.weights(torch.ones(2, dtype=torch.float64), GRAMIAN)
        torch.testing.assert_close((weights @ GRAMIAN @ weights).item(), 1.0)


def test_cagrad_of_two_tasks() -> None:
    """Its w is the root of a quadratic: the dual value is g_w·g_0 + c‖g_0‖‖g_w‖ on a segment."""
    mean = torch.tensor([0.5, 0.5], dtype=torch.float64)
    radius = 0.5 * float((mean @ GRAMIAN @ mean).sqrt())
    grid = torch.linspace(0, 1, 200_001, dtype=torch.float64)
    w = torch.stack([grid, 1 - grid], 1)
    lengths = ((w @ GRAMIAN) * w).sum(1).sqrt()
    best = int((w @ GRAMIAN @ mean + radius * lengths).argmin())
    expected = mean + radius * w[best] / lengths[best]
    for rescale, divisor in (("none", 1.0), ("1+c", 1.5), ("1+c^2", 1.25)):
        weighting = build("cagrad", num_tasks=2, dtype=torch.float64, rescale=rescale)
        weights = weighting.weights(torch.ones(2, dtype=torch.float64), GRAMIAN)
        torch.testing.assert_close(weights * divisor, expected, rtol=0, atol=1e-4)


def test_aligned_gradients_are_as_long_as_the_shortest_component() -> None:
    weighting = build("aligned", num_tasks=2, dtype=torch.float64)
    weights = weighting.weights(torch.ones(2, dtype=torch.float64), GRAMIAN)
    values, vectors = torch.linalg.eigh(GRAMIAN)
    root = vectors @ torch.diag((values[0] / values).sqrt()) @ vectors.mT
    torch.testing.assert_close(weights, root.mean(1))


def test_config_has_equal_cosines_and_the_length_of_all_projections() -> None:
    weighting = build("config", num_tasks=2, dtype=torch.float64)
    combined = weighting.combine(ROWS)
    units = ROWS / torch.linalg.vector_norm(ROWS, dim=1, keepdim=True)
    cosines = units @ combined / combined.norm()
    torch.testing.assert_close(cosines[0], cosines[1])
    torch.testing.assert_close(combined.norm(), (ROWS @ combined / combined.norm()).sum())
