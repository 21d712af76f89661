"""GradNorm and IMTL: their learned tensors move by the gradients of what the papers minimise."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mtmm.weighting.gradnorm import GradNorm
from mtmm.weighting.imtl import IMTL
from mtmm.weighting.imtl_g import IMTLG

CPU = torch.device("cpu")


def gramian(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(3, 8, generator=generator, dtype=torch.float64)
    return rows @ rows.mT


def test_gradnorm_gradients_are_those_of_its_objective_with_the_goal_held_constant() -> None:
    method = GradNorm(alpha=0.7)
    state = dict(method.init(3, device=CPU, dtype=torch.float64))
    first = torch.tensor([1.0, 4.0, 2.0], dtype=torch.float64)
    now = torch.tensor([0.5, 3.0, 0.2], dtype=torch.float64)
    _, after = method.step(state, first, gramian())
    assert torch.equal(after["initial"], first)
    logits = torch.tensor([0.5, -1.5, 1.0], dtype=torch.float64, requires_grad=True)
    weights = 3 * torch.softmax(logits, 0)
    norms = gramian(1).diagonal().sqrt()
    rates = now / first / (now / first).mean()
    goal = (weights.detach() * norms).mean() * rates**0.7
    (expected,) = torch.autograd.grad((weights * norms - goal).abs().sum(), logits)
    moved = {**after, "logits": logits.detach()}
    found = method.parameter_gradients(moved, now, gramian(1))
    torch.testing.assert_close(found["logits"], expected)


def test_gradnorm_weights_sum_to_the_number_of_tasks() -> None:
    method = GradNorm()
    state = {
        **method.init(3, device=CPU, dtype=torch.float64),
        "logits": torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64).log(),
    }
    weights, _ = method.step(state, torch.ones(3, dtype=torch.float64), gramian())
    torch.testing.assert_close(weights, torch.tensor([0.5, 1.0, 1.5], dtype=torch.float64))


def test_gradnorm_brings_norms_together_and_a_slow_task_up() -> None:
    """Two tasks at equal rates end at equal weighted norms; a slower one gets more."""
    norms = torch.tensor([1.0, 10.0], dtype=torch.float64)
    for now, ratio in (([1.0, 1.0], 1.0), ([0.2, 1.0], 5.0)):
        method = GradNorm(alpha=1.0)
        start = method.init(2, device=CPU, dtype=torch.float64)
        _, after = method.step(start, torch.ones(2, dtype=torch.float64), torch.diag(norms**2))
        logits = nn.Parameter(after["logits"].clone())
        optimizer = torch.optim.Adam([logits], lr=method.learning_rate)
        for _ in range(800):
            for group in optimizer.param_groups:
                group["lr"] *= 0.995
            given = {**after, "logits": logits}
            losses = torch.tensor(now, dtype=torch.float64)
            slopes = method.parameter_gradients(given, losses, torch.diag(norms**2))
            logits.grad = slopes["logits"]
            optimizer.step()
        weights, _ = method.step(
            {**after, "logits": logits}, torch.ones(2, dtype=torch.float64), torch.diag(norms**2)
        )
        lengths = weights * norms
        torch.testing.assert_close(float(lengths[1] / lengths[0]), ratio, rtol=0.05, atol=0)


def test_the_first_loss_of_a_task_is_that_of_its_first_batch_with_labels() -> None:
    method = GradNorm()
    state = method.init(2, device=CPU, dtype=torch.float64)
    alone = torch.diag(torch.tensor([1.0, 0.0], dtype=torch.float64))
    _, once = method.step(state, torch.tensor([3.0, 0.0], dtype=torch.float64), alone)
    assert once["initial"].isnan().tolist() == [False, True]
    both = torch.eye(2, dtype=torch.float64)
    _, twice = method.step(once, torch.tensor([2.0, 5.0], dtype=torch.float64), both)
    assert twice["initial"].tolist() == [3, 5]


def test_imtl_is_imtl_g_for_the_gradients_of_scaled_losses() -> None:
    losses = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    s = torch.tensor([0.3, -0.4, 1.0], dtype=torch.float64)
    method = IMTL()
    state = {**method.init(3, device=CPU, dtype=torch.float64), "log_scale": nn.Parameter(s)}
    weights, after = method.step(state, losses, gramian())
    scaled = gramian() * s.exp()[:, None] * s.exp()
    other = IMTLG()
    inner, _ = other.step(other.init(3, device=CPU, dtype=torch.float64), losses, scaled)
    torch.testing.assert_close(weights, inner * s.exp())
    assert after["log_scale"] is state["log_scale"]  # an optimizer holds it
    gradients = method.parameter_gradients(state, losses, gramian())
    torch.testing.assert_close(gradients["log_scale"], s.exp() * losses - 1)
