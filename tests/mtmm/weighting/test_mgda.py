from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mtmm.weighting.mgda import MGDA
from tests.mtmm.weighting import references

LOSSES = torch.tensor([0.1, 2.0, 0.7, 5.0], dtype=torch.float64)
normalizers = pytest.mark.parametrize("normalizer", ["none", "l2", "loss", "loss+"])


def jacobian(seed: int) -> Tensor:
    """Four rows of lengths of about 1 to 1000."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    return rows * 10 ** torch.arange(4).double()[:, None]


def step(normalizer: Any, losses: Tensor, rows: Tensor) -> tuple[Tensor, int]:
    method = MGDA(normalizer=normalizer)
    state = method.init(len(rows), device=rows.device, dtype=rows.dtype)
    weights, after = method.step(state, losses, rows @ rows.mT)
    return weights, int(after["fallbacks"])


def divided(normalizer: str, losses: Tensor, rows: Tensor) -> Tensor:
    """The rows, each over its n_i."""
    norms = torch.linalg.vector_norm(rows, dim=1)
    factors = {"none": norms / norms, "l2": norms, "loss": losses, "loss+": losses * norms}
    units: Tensor = rows / factors[normalizer][:, None]
    return units


@normalizers
def test_the_step_is_along_the_shortest_point_of_the_normalised_gradients(normalizer: str) -> None:
    for seed in range(10):
        rows = jacobian(seed)
        units = divided(normalizer, LOSSES, rows)
        weights, fallbacks = step(normalizer, LOSSES, rows)
        assert not fallbacks
        torch.testing.assert_close(weights.sum().item(), 1.0)
        found, expected = weights @ rows, references.shortest(units) @ units
        # Both weights sum to 1, those of the raw and those of the normalised gradients.
        found = found / torch.linalg.vector_norm(found)
        expected = expected / torch.linalg.vector_norm(expected)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@normalizers
def test_no_loss_grows_with_any_normalizer(normalizer: str) -> None:
    for seed in range(10):
        rows = jacobian(seed)
        weights, _ = step(normalizer, LOSSES, rows)
        units = divided(normalizer, LOSSES, rows)
        combined = weights @ rows
        combined = combined / torch.linalg.vector_norm(combined)
        assert (units @ combined >= -1e-6 * torch.linalg.vector_norm(units, dim=1)).all()


@pytest.mark.parametrize(("normalizer", "unmoved"), [("l2", True), ("loss", False)])
def test_only_gradient_norms_make_it_blind_to_a_tasks_scale(normalizer: str, unmoved: bool) -> None:
    rows, factors = jacobian(0), torch.tensor([1.0, 50.0, 1.0, 1.0], dtype=torch.float64)
    plain, _ = step(normalizer, LOSSES, rows)
    scaled, _ = step(normalizer, LOSSES, factors[:, None] * rows)
    first, second = plain @ rows, (scaled * factors) @ rows
    cosine = torch.nn.functional.cosine_similarity(first, second, dim=0).item()
    assert (cosine > 1 - 1e-9) == unmoved


@pytest.mark.parametrize("normalizer", ["loss", "loss+"])
def test_a_loss_of_0_is_no_normalizer(normalizer: str) -> None:
    losses = torch.tensor([0.0, 2.0, 0.7, 5.0], dtype=torch.float64)
    weights, fallbacks = step(normalizer, losses, jacobian(0))
    assert fallbacks == 1
    assert weights.tolist() == [0.25] * 4


@normalizers
def test_a_loss_of_0_of_a_task_without_gradient_does_not_matter(normalizer: str) -> None:
    rows = jacobian(0)
    rows[1] = 0
    losses = torch.tensor([0.1, 0.0, 0.7, 5.0], dtype=torch.float64)
    weights, fallbacks = step(normalizer, losses, rows)
    kept = [0, 2, 3]
    alone, _ = step(normalizer, losses[kept], rows[kept])
    assert not fallbacks
    assert weights[1] == 0
    torch.testing.assert_close(weights[kept], alone)
