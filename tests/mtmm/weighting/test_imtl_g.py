from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtmm.weighting.imtl_g import IMTLG


def jacobian(tasks: int, seed: int) -> Tensor:
    """Independent rows of lengths of about 1 to 10^(T − 1)."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(tasks, 12, generator=generator, dtype=torch.float64)
    return rows * 10 ** torch.arange(tasks).double()[:, None]


def step(rows: Tensor) -> tuple[Tensor, int]:
    method, losses = IMTLG(), torch.ones(len(rows), dtype=rows.dtype)
    state = method.init(len(rows), device=rows.device, dtype=rows.dtype)
    weights, after = method.step(state, losses, rows @ rows.mT)
    return weights, int(after["fallbacks"])


@pytest.mark.parametrize("tasks", [2, 3, 7])
def test_projections_are_equal_and_weights_sum_to_1(tasks: int) -> None:
    for seed in range(10):
        rows = jacobian(tasks, seed)
        weights, fallbacks = step(rows)
        assert not fallbacks
        torch.testing.assert_close(weights.sum().item(), 1.0)
        combined = weights @ rows
        projections = rows @ combined / torch.linalg.vector_norm(rows, dim=1)
        bound = 1e-9 * float(torch.linalg.vector_norm(combined))
        torch.testing.assert_close(
            projections, projections[:1].expand(tasks), rtol=1e-6, atol=bound
        )


def test_the_direction_does_not_depend_on_a_tasks_scale() -> None:
    rows, factors = jacobian(3, 0), torch.tensor([1.0, 1e-3, 20.0], dtype=torch.float64)
    plain, scaled = step(rows)[0] @ rows, step(factors[:, None] * rows)[0] * factors @ rows
    cosine = torch.nn.functional.cosine_similarity(plain, scaled, dim=0)
    torch.testing.assert_close(cosine.abs().item(), 1.0)


def test_parallel_gradients_share_by_their_lengths() -> None:
    rows = torch.tensor([1.0, 2.0, 4.0]).double()[:, None] * torch.ones(1, 5).double()
    weights, fallbacks = step(rows)
    assert not fallbacks
    torch.testing.assert_close(weights.tolist(), [4 / 7, 2 / 7, 1 / 7])


@pytest.mark.parametrize(
    "rows",
    [
        [[1.0, 0], [-2, 0]],  # opposite
        [[1.0, 0], [0, 1], [-1, -1], [1, 1]],  # more than there are dimensions
    ],
)
def test_where_no_combination_has_equal_projections_it_is_the_mean(
    rows: list[list[float]],
) -> None:
    weights, fallbacks = step(torch.tensor(rows, dtype=torch.float64))
    assert fallbacks == 1
    assert weights.tolist() == [1 / len(rows)] * len(rows)
