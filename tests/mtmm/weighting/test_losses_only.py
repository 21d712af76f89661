"""Methods that need losses only: weights against the gradient of what their papers minimise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from mtmm.weighting import WEIGHTINGS
from mtmm.weighting.base import State, Weighting
from mtmm.weighting.dwa import DWA
from mtmm.weighting.famo import FAMO
from mtmm.weighting.gls import GLS
from mtmm.weighting.imtl_l import IMTLL
from mtmm.weighting.rlw import RLW
from mtmm.weighting.si import ScaleInvariant
from mtmm.weighting.stch import STCH
from tests.mtmm.weighting import properties

CPU = torch.device("cpu")
LOSSES = torch.tensor([0.3, 2.0, 0.05, 7.0], dtype=torch.float64)
METHODS = [name for name, method in WEIGHTINGS.items() if method.needs == "losses"]


def initial(method: Weighting, tasks: int = 4) -> State:
    return method.init(tasks, device=CPU, dtype=torch.float64)


def gradient(objective: Callable[[Tensor], Tensor], losses: Tensor = LOSSES) -> Tensor:
    given = losses.clone().requires_grad_()
    (made,) = torch.autograd.grad(objective(given), given)
    return made


def warmed_up(method: STCH, nadir: Tensor) -> State:
    state = initial(method, len(nadir))
    for epoch in range(method.warmup_epochs):
        # Only the last of them counts.
        state = method.epoch_end(state, nadir if epoch == method.warmup_epochs - 1 else 2 * nadir)
    return state


@pytest.mark.parametrize(
    ("method", "objective"),
    [
        (GLS(), lambda x: x.prod() ** (1 / len(x))),
        (ScaleInvariant(), lambda x: x.log().sum()),
        (IMTLL(), torch.sum),
    ],
)
def test_weights_are_the_objectives_gradient(
    method: Weighting, objective: Callable[[Tensor], Tensor]
) -> None:
    weights, _ = method.step(initial(method), LOSSES)
    torch.testing.assert_close(weights, gradient(objective))


def test_the_geometric_mean_neither_overflows_nor_underflows() -> None:
    for size in (1e-200, 1e200):
        weights, _ = GLS().step({}, LOSSES * size)
        torch.testing.assert_close(weights, GLS().step({}, LOSSES)[0])


def test_imtl_l_gradients_are_those_of_its_objective() -> None:
    s = torch.tensor([0.3, -1.0, 0.0, 2.0], dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad((s.exp() * LOSSES - s).sum(), s)
    method, state = IMTLL(), {"log_scale": s.detach()}
    torch.testing.assert_close(method.parameter_gradients(state, LOSSES)["log_scale"], expected)
    torch.testing.assert_close(method.step(state, LOSSES)[0], s.detach().exp())
    still = method.parameter_gradients(state, torch.zeros(4, dtype=torch.float64))
    assert still["log_scale"].tolist() == [0, 0, 0, 0]


def test_dwa_follows_the_ratio_of_the_last_two_epochs() -> None:
    method, temperature = DWA(temperature=0.5), 0.5
    state = initial(method, 3)
    epochs = torch.tensor([[1.0, 2.0, 4.0], [0.5, 2.0, 1.0], [0.4, 3.0, 1.0]]).double()
    seen = []
    for means in epochs:
        seen.append(method.step(state, means)[0])
        state = method.epoch_end(state, means)
    assert torch.equal(torch.stack(seen[:2]), torch.ones(2, 3, dtype=torch.float64))
    for weights, now, before in (
        (seen[2], epochs[1], epochs[0]),
        (method.step(state, epochs[0])[0], epochs[2], epochs[1]),
    ):
        raw = (now / before / temperature).exp()
        torch.testing.assert_close(weights, 3 * raw / raw.sum())


@pytest.mark.parametrize("distribution", ["normal", "dirichlet"])
def test_random_weights_have_their_distribution(distribution: Any) -> None:
    method = RLW(distribution=distribution)
    state, generator = initial(method, 3), torch.Generator().manual_seed(0)
    draws = []
    for _ in range(4000):
        state = method.draw(state, 3, generator)
        draws.append(method.step(state, LOSSES[:3])[0])
    weights = torch.stack(draws)
    torch.testing.assert_close(weights.sum(1), torch.ones(4000, dtype=torch.float64))
    torch.testing.assert_close(weights.mean(0), torch.full((3,), 1 / 3).double(), atol=0.02, rtol=0)
    if distribution == "dirichlet":  # Dirichlet(1, 1, 1): variance 2 / (9 · 4)
        expected = torch.full((3,), 1 / 18, dtype=torch.float64)
        torch.testing.assert_close(weights.var(0), expected, atol=0.005, rtol=0)
    else:  # differences of logarithms are N(0, 2)
        apart = (weights[:, 0] / weights[:, 1]).log()
        assert abs(float(apart.mean())) < 0.1
        assert abs(float(apart.var()) - 2) < 0.2


def test_rlw_draws_the_same_with_the_same_generator() -> None:
    method = RLW()
    first = method.draw(initial(method), 4, torch.Generator().manual_seed(5))
    second = method.draw(initial(method), 4, torch.Generator().manual_seed(5))
    assert properties.states_equal(first, second)


def test_stch_is_the_log_sum_until_the_warm_up_ends_and_then_a_smooth_maximum() -> None:
    method = STCH(mu=0.7, warmup_epochs=2)
    state = method.epoch_end(initial(method), LOSSES)
    torch.testing.assert_close(method.step(state, LOSSES)[0], 1 / LOSSES)
    nadir = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    state = method.epoch_end(state, nadir)

    def smooth(x: Tensor) -> Tensor:
        return 0.7 * torch.logsumexp((x / nadir).log() / 0.7, 0)

    torch.testing.assert_close(method.step(state, LOSSES)[0], gradient(smooth))
    later = method.epoch_end(state, 9 * LOSSES)
    assert torch.equal(later["nadir"], nadir)
    sharp = STCH(mu=0.01, warmup_epochs=1)
    weights, _ = sharp.step(warmed_up(sharp, nadir), LOSSES)
    assert int(weights.argmax()) == int((LOSSES / nadir).argmax())


def test_famo_over_some_steps_is_adam_on_the_logits() -> None:
    method = FAMO(lr=0.1, gamma=0.01)
    state = initial(method, 3)
    logits = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([logits], lr=0.1, weight_decay=0.01)
    generator = torch.Generator().manual_seed(0)
    for _ in range(6):
        before = torch.rand(3, generator=generator, dtype=torch.float64) + 0.5
        after = before * (torch.rand(3, generator=generator, dtype=torch.float64) + 0.3)
        weights, state = method.step(state, before)
        shares = torch.softmax(logits.detach(), 0) / before
        torch.testing.assert_close(weights, shares / shares.sum())
        state = method.after_step(state, after)
        adam.zero_grad()
        (torch.softmax(logits, 0) @ (before.log() - after.log())).backward()
        adam.step()
        torch.testing.assert_close(state["logits"], logits.detach())


def test_famo_keeps_its_logits_through_a_step_that_is_not_finite() -> None:
    method = FAMO()
    _, state = method.step(initial(method), LOSSES)
    broken = method.after_step(state, LOSSES * torch.inf)
    assert torch.equal(broken["logits"], state["logits"])
    assert torch.equal(broken["first"], state["first"])


@pytest.mark.parametrize("name", METHODS)
def test_a_task_without_a_label_does_no_harm(name: str) -> None:
    """Its loss in the batch is exactly 0."""
    method = WEIGHTINGS[name]()
    losses = torch.tensor([0.3, 0.0, 2.0], dtype=torch.float64)
    state = initial(method, 3)
    if isinstance(method, STCH):
        state = warmed_up(method, torch.ones(3, dtype=torch.float64))
    for given in (losses, torch.zeros(3, dtype=torch.float64)):
        weights, after = method.step(state, given)
        after = method.epoch_end(method.after_step(after, 0.9 * given), given)
        weights = method.step(after, losses)[0]
        assert weights.isfinite().all()
    if name in ("gls", "si", "stch", "famo"):
        rest, _ = method.step(state, losses)
        alone: State = {k: v[[0, 2]] if v.dim() == 1 else v for k, v in state.items()}
        torch.testing.assert_close(rest[[0, 2]], method.step(alone, losses[[0, 2]])[0])
        assert rest[1] == 0


@pytest.mark.parametrize("name", METHODS)
def test_a_step_is_lifted_and_asks_for_no_number(name: str) -> None:
    method = WEIGHTINGS[name]()
    state = initial(method)
    if isinstance(method, STCH):
        state = warmed_up(method, torch.ones(4, dtype=torch.float64))
    properties.assert_lifted(method, state, LOSSES)
    properties.assert_no_round_trip(method, method.draw(state, 4, None), LOSSES)


@pytest.mark.parametrize("name", sorted({*METHODS} - {"static", "rlw"}))
def test_the_order_of_tasks_does_not_matter(name: str) -> None:
    method = WEIGHTINGS[name]()
    weights = method.step(initial(method), LOSSES)[0]
    torch.testing.assert_close(method.step(initial(method), LOSSES.flip(0))[0].flip(0), weights)
