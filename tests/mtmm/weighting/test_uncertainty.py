from __future__ import annotations

import pytest
import torch

from mtmm.weighting.uncertainty import Uncertainty

CPU = torch.device("cpu")
LOSSES = torch.tensor([0.3, 2.0, 0.0], dtype=torch.float64)


def test_the_state_starts_at_the_initial_value() -> None:
    state = Uncertainty(initial=-0.5).init(3, device=CPU, dtype=torch.float64)
    assert state["log_variance"].tolist() == [-0.5, -0.5, -0.5]
    assert state["log_variance"].dtype == torch.float64
    assert Uncertainty().init(2, device=CPU, dtype=torch.float32)["log_variance"].tolist() == [0, 0]


def test_the_weight_is_the_inverse_variance() -> None:
    variance = torch.tensor([1.0, 2.0, 0.25], dtype=torch.float64)
    weights, _ = Uncertainty().step({"log_variance": variance.log()}, LOSSES)
    torch.testing.assert_close(weights, 1 / variance)


def test_gradients_are_those_of_the_papers_objective() -> None:
    s = torch.tensor([0.7, -1.2, 0.1], dtype=torch.float64, requires_grad=True)
    losses = LOSSES.clone().requires_grad_()
    objective = (torch.exp(-s) * losses + s / 2).sum()
    expected_s, expected_losses = torch.autograd.grad(objective, (s, losses))
    state = {"log_variance": s.detach()}
    gradients = Uncertainty().parameter_gradients(state, LOSSES)
    torch.testing.assert_close(gradients["log_variance"], expected_s, rtol=1e-14, atol=1e-14)
    # The weights are what the objective multiplies the losses' gradients with.
    torch.testing.assert_close(Uncertainty().step(state, LOSSES)[0], expected_losses)


def test_the_gradient_is_0_where_the_variance_is_twice_the_loss() -> None:
    state = {"log_variance": torch.log(2 * LOSSES[:2])}
    gradient = Uncertainty().parameter_gradients(state, LOSSES[:2])["log_variance"]
    assert gradient.abs().max().item() == pytest.approx(0, abs=1e-15)
