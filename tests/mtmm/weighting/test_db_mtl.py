"""DB-MTL: its averages, and what of losses and gradients does not matter."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtmm.weighting.base import State
from mtmm.weighting.db_mtl import DBMTL

CPU = torch.device("cpu")
TASKS, SIZE = 3, 8
LOSSES = torch.tensor([1.0, 0.2, 5.0], dtype=torch.float64)


def initial(method: DBMTL) -> State:
    return method.init(TASKS, num_params=SIZE, device=CPU, dtype=torch.float64)


def rows_of(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(TASKS, SIZE, generator=generator, dtype=torch.float64)


def test_without_memory_the_gradients_of_logarithms_are_brought_to_the_longest() -> None:
    rows = rows_of(0)
    gradient, _ = DBMTL(beta=0.0).step(initial(DBMTL()), LOSSES, rows)
    logs = rows / LOSSES[:, None]
    lengths = torch.linalg.vector_norm(logs, dim=1, keepdim=True)
    torch.testing.assert_close(gradient, (logs / lengths * lengths.amax()).sum(0))


@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_the_unit_of_a_loss_does_not_matter(factor: float) -> None:
    units = torch.tensor([1.0, factor, 1.0], dtype=torch.float64)
    method = DBMTL(beta_sigma=0.5)
    plain, scaled = initial(method), initial(method)
    for seed in range(4):
        rows, losses = rows_of(seed), LOSSES / (1 + seed)
        expected, plain = method.step(plain, losses, rows)
        found, scaled = method.step(scaled, units * losses, units[:, None] * rows)
        torch.testing.assert_close(found, expected)


def test_the_same_gradients_step_after_step_are_their_own_average_in_the_end() -> None:
    method = DBMTL(beta=0.5)
    state = initial(method)
    for _ in range(60):
        _, state = method.step(state, LOSSES, rows_of(0))
    torch.testing.assert_close(state["average"], rows_of(0) / LOSSES[:, None])


def test_the_average_of_a_task_stands_still_in_a_batch_without_a_label_of_it() -> None:
    method = DBMTL()
    _, once = method.step(initial(method), LOSSES, rows_of(0))
    rows, losses = rows_of(1), LOSSES.clone()
    rows[1], losses[1] = 0.0, 0.0
    gradient, twice = method.step(once, losses, rows)
    assert torch.equal(once["average"][1], twice["average"][1])
    assert not torch.equal(once["average"][0], twice["average"][0])
    others = twice["average"][[0, 2]]
    lengths = torch.linalg.vector_norm(others, dim=1, keepdim=True)
    torch.testing.assert_close(gradient, (others / lengths * lengths.amax()).sum(0))


def test_a_loss_without_logarithm_falls_back() -> None:
    method = DBMTL()
    for loss in (0.0, -1.0):
        losses = torch.tensor([1.0, loss, 1.0], dtype=torch.float64)
        gradient, after = method.step(initial(method), losses, rows_of(0))
        assert torch.equal(gradient, rows_of(0).sum(0))
        assert int(after["fallbacks"]) == 1
        assert torch.equal(after["average"], initial(method)["average"])
