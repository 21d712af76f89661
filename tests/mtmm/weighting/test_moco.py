"""MoCo: what it tends to, and tasks without labels."""

from __future__ import annotations

import torch
from torch import Tensor

from mtmm.weighting.base import State
from mtmm.weighting.moco import MoCo
from tests.mtmm.weighting import references

CPU = torch.device("cpu")
ONES = torch.ones(2, dtype=torch.float64)


def initial(tasks: int, size: int = 9) -> State:
    return MoCo().init(tasks, num_params=size, device=CPU, dtype=torch.float64)


def unit_rows(tasks: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(tasks, 9, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(rows, dim=1)


def test_the_same_gradients_step_after_step_end_in_their_shortest_combination() -> None:
    losses = torch.tensor([1.0, 0.5, 1.0, 3.0], dtype=torch.float64)
    rows = unit_rows(4)
    rows[3] = 0.8 * rows[1] + 0.6 * rows[3]
    rows[3] /= rows[3].norm()
    method = MoCo(beta_sigma=0.0, gamma_sigma=0.0)
    state = initial(4)
    gradient = rows[0]
    for _ in range(1000):
        gradient, state = method.step(state, losses, rows)
    sized = rows * losses[:, None]
    shortest = references.shortest(sized)
    assert (shortest < 1e-6).any()  # the projection is at an edge of the simplex
    torch.testing.assert_close(state["shares"], shortest, rtol=0, atol=1e-6)
    torch.testing.assert_close(gradient, shortest @ sized, rtol=0, atol=1e-6)


def test_rho_draws_the_weights_together() -> None:
    rows = torch.diag(torch.tensor([1.0, 3.0], dtype=torch.float64))
    spread = []
    for rho in (0.0, 10.0):
        method = MoCo(beta_sigma=0.0, gamma_sigma=0.0, gamma=0.05, rho=rho)
        state = initial(2, 2)
        for _ in range(300):
            _, state = method.step(state, rows.diagonal(), rows)
        spread.append(float(state["shares"][0] - state["shares"][1]))
    # For G = diag(1, 9) the minimum is at (9 + ρ, 1 + ρ) / (10 + 2ρ).
    torch.testing.assert_close(spread, [0.8, 8 / 30], rtol=0, atol=1e-6)


def test_the_length_of_a_gradient_does_not_matter_but_its_loss_does() -> None:
    rows, method = unit_rows(2), MoCo()
    state = initial(2)
    expected, _ = method.step(state, ONES, rows)
    found, _ = method.step(state, ONES, rows * torch.tensor([[1e-3], [1e3]]).double())
    torch.testing.assert_close(found, expected)
    _, larger = method.step(state, torch.tensor([1.0, 4.0], dtype=torch.float64), rows)
    assert float(larger["tracked"][1].norm() / larger["tracked"][0].norm()) > 3.9


def test_a_task_without_a_label_in_the_batch_keeps_its_row() -> None:
    rows, method = unit_rows(2), MoCo()
    state = initial(2)
    _, once = method.step(state, ONES, rows)
    alone = torch.stack([rows[1], torch.zeros_like(rows[1])])
    gradient, twice = method.step(once, torch.tensor([1.0, 0.0], dtype=torch.float64), alone)
    assert torch.equal(once["tracked"][1], twice["tracked"][1])
    assert not torch.equal(once["tracked"][0], twice["tracked"][0])
    torch.testing.assert_close(gradient, twice["shares"] @ twice["tracked"])
