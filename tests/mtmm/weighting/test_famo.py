"""FAMO: what its weights do to losses that fall at different rates."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtmm.weighting.base import State
from mtmm.weighting.famo import FAMO

CPU = torch.device("cpu")


def initial(tasks: int) -> State:
    return FAMO().init(tasks, device=CPU, dtype=torch.float64)


def test_the_weight_of_a_loss_that_falls_more_slowly_grows() -> None:
    state = initial(2)
    losses = torch.ones(2, dtype=torch.float64)
    for _ in range(50):
        _, state = FAMO().step(state, losses)
        state = FAMO().after_step(state, losses * torch.tensor([0.8, 0.95]).double())
    weights, _ = FAMO().step(state, losses)
    assert float(weights[1]) > 0.7


@pytest.mark.parametrize("unit", [1e-3, 1e3])
def test_the_unit_of_a_loss_does_not_matter(unit: float) -> None:
    """w_i L_i has the same shares, and the logits the same values."""
    units = torch.tensor([1.0, unit, 1.0], dtype=torch.float64)
    plain, scaled = initial(3), initial(3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        before = torch.rand(3, generator=generator, dtype=torch.float64) + 0.1
        after = before * (torch.rand(3, generator=generator, dtype=torch.float64) + 0.3)
        first, plain = FAMO().step(plain, before)
        second, scaled = FAMO().step(scaled, units * before)
        torch.testing.assert_close(shares(first * before), shares(second * units * before))
        plain, scaled = FAMO().after_step(plain, after), FAMO().after_step(scaled, units * after)
        torch.testing.assert_close(plain["logits"], scaled["logits"])


def test_two_losses_of_two_tensors_end_in_equal_relative_decrease() -> None:
    """L_i = e^{−k_i x_i}: its logarithm falls with k_i² times its share."""
    slopes = torch.tensor([1.0, 2.0], dtype=torch.float64)
    method, state = FAMO(lr=0.05, gamma=0.0), initial(2)
    x = torch.zeros(2, dtype=torch.float64)
    decrease = x
    for _ in range(400):
        losses = (-slopes * x).exp()
        weights, state = method.step(state, losses)
        x = x + 0.01 * weights * slopes * losses / (weights * losses).sum()
        after = (-slopes * x).exp()
        decrease = (losses / after).log()
        state = method.after_step(state, after)
    torch.testing.assert_close(decrease[0], decrease[1], rtol=0.05, atol=0)


def test_what_follows_a_step_is_lifted_too() -> None:
    method = FAMO()
    losses = torch.tensor([[1.0, 2, 3], [0.5, 1, 0]], dtype=torch.float64)
    states: State = {name: torch.stack([value] * 2) for name, value in initial(3).items()}
    _, states = torch.vmap(method.step)(states, losses)
    together = torch.vmap(method.after_step)(states, 0.8 * losses**1.1)
    for i in range(2):
        _, alone = method.step(initial(3), losses[i])
        alone = method.after_step(alone, 0.8 * losses[i] ** 1.1)
        torch.testing.assert_close(together["logits"][i], alone["logits"])


def shares(values: Tensor) -> Tensor:
    return values / values.sum()
