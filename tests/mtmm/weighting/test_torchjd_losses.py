"""Methods that need losses only against TorchJD's scalarizers, over some epochs of some steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mtmm.weighting.base import State, Weighting
from mtmm.weighting.dwa import DWA
from mtmm.weighting.famo import FAMO
from mtmm.weighting.gls import GLS
from mtmm.weighting.imtl_l import IMTLL
from mtmm.weighting.rlw import RLW
from mtmm.weighting.stch import STCH

scalarization: Any = pytest.importorskip("torchjd.scalarization")

TASKS, STEPS = 4, 5


def epochs(count: int = 5) -> Tensor:
    """Losses `[epoch, step, T]` that fall at different rates, from different heights."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(count, STEPS, TASKS, generator=generator, dtype=torch.float64) + 0.5
    rates = torch.tensor([0.9, 0.5, 1.1, 0.2], dtype=torch.float64)
    heights = torch.tensor([1.0, 20.0, 0.03, 4.0], dtype=torch.float64)
    return heights * noise * rates ** torch.arange(count)[:, None, None]


def initial(method: Weighting) -> State:
    return method.init(TASKS, device=torch.device("cpu"), dtype=torch.float64)


def theirs(scalarizer: Any, losses: Tensor) -> Tensor:
    """The weights it stands for: its derivative by each loss."""
    given = losses.clone().requires_grad_()
    (weights,) = torch.autograd.grad(scalarizer(given), given)
    return weights


def test_dwa() -> None:
    method, other = DWA(temperature=0.7), scalarization.DWA(temperature=0.7)
    state = initial(method)
    for epoch in epochs():
        for losses in epoch:
            weights, state = method.step(state, losses)
            torch.testing.assert_close(weights, theirs(other, losses))
        other.step()
        state = method.epoch_end(state, epoch.mean(0))
    assert not torch.allclose(weights, torch.ones_like(weights), atol=0.1)


def test_famo() -> None:
    """It adds 1e-8 to every loss."""
    method = FAMO(lr=0.1, gamma=0.01)
    other = scalarization.FAMO(TASKS, lr=0.1, weight_decay=0.01).double()
    state = initial(method)
    for epoch in epochs():
        for before, after in zip(epoch, epoch.roll(1, 0), strict=True):
            weights, state = method.step(state, before)
            torch.testing.assert_close(weights, theirs(other, before), rtol=1e-4, atol=0)
            other.update(after)
            state = method.after_step(state, after)
    assert float(state["logits"].abs().amax()) > 0.1


def test_gls() -> None:
    for losses in epochs().flatten(0, 1):
        weights, _ = GLS().step({}, losses)
        torch.testing.assert_close(weights, theirs(scalarization.GeometricMean(), losses))


def test_imtl_l() -> None:
    method, other = IMTLL(), scalarization.IMTLL(TASKS).double()
    ours = initial(method)["log_scale"].clone().requires_grad_()
    mine, its = (torch.optim.Adam([p], lr=0.1) for p in (ours, other.log_scale))
    for losses in epochs().flatten(0, 1):
        state = {"log_scale": ours.detach()}
        torch.testing.assert_close(method.step(state, losses)[0], theirs(other, losses))
        ours.grad = method.parameter_gradients(state, losses)["log_scale"]
        its.zero_grad()
        other(losses).backward()
        mine.step()
        its.step()
        torch.testing.assert_close(ours, other.log_scale)


def test_rlw_with_the_same_numbers() -> None:
    losses = epochs()[0, 0]
    torch.manual_seed(3)
    expected = theirs(scalarization.Random(), losses)
    drawn = RLW().draw(initial(RLW()), TASKS, torch.Generator().manual_seed(3))
    torch.testing.assert_close(RLW().step(drawn, losses)[0], expected)


@pytest.mark.parametrize("mu", [0.05, 1.0, 4.0])
def test_stch_is_its_smooth_maximum_of_the_logarithms_of_relative_losses(mu: float) -> None:
    method = STCH(mu=mu, warmup_epochs=1)
    nadir = epochs().mean((0, 1))
    state = method.epoch_end(initial(method), nadir)
    for losses in epochs()[2]:
        ones = torch.ones_like(losses)
        other = scalarization.STCH(mu=mu, weights=ones, reference=nadir.log())
        given = losses.clone().requires_grad_()
        (expected,) = torch.autograd.grad(other(given.log()), given)
        torch.testing.assert_close(method.step(state, losses)[0], expected)
