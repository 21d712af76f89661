"""ExcessMTL: against TorchJD, and what moves its weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mtmm.weighting.base import State
from mtmm.weighting.excess import ExcessMTL

CPU = torch.device("cpu")
TASKS, SIZE = 3, 12


def initial(method: ExcessMTL, dtype: torch.dtype = torch.float64) -> State:
    return method.init(TASKS, num_params=SIZE, device=CPU, dtype=dtype)


def trajectory(steps: int = 6) -> list[Tensor]:
    """Gradients that shrink, the first task's not."""
    generator = torch.Generator().manual_seed(0)
    rates = torch.tensor([[1.0], [0.6], [0.3]], dtype=torch.float64)
    rows = torch.randn(steps, TASKS, SIZE, generator=generator, dtype=torch.float64)
    return [rates**step * given for step, given in enumerate(rows)]


def losses() -> Tensor:
    return torch.ones(TASKS, dtype=torch.float64)


def test_as_torchjd_does_over_some_steps() -> None:
    """One step of its warm-up is our first step; it adds 1e-7 here and there."""
    aggregation: Any = pytest.importorskip("torchjd.aggregation")
    method, other = ExcessMTL(step_size=0.5), aggregation.ExcessMTL(0.5, n_warmup_steps=1)
    state = initial(method)
    for rows in trajectory():
        found, state = method.step(state, losses(), rows)
        torch.testing.assert_close(found, other(rows), rtol=1e-4, atol=1e-5)
    assert float(state["shares"].amax() - state["shares"].amin()) > 0.1


def test_the_first_step_weighs_all_alike() -> None:
    rows = trajectory()[0]
    found, _ = ExcessMTL(step_size=0.5).step(initial(ExcessMTL()), losses(), rows)
    torch.testing.assert_close(found, rows.mean(0))


def test_a_task_that_does_not_get_nearer_to_its_optimum_gains_weight() -> None:
    method = ExcessMTL(step_size=0.5)
    state = initial(method)
    for rows in trajectory():
        _, state = method.step(state, losses(), rows)
    assert state["shares"].argsort(descending=True).tolist() == [0, 1, 2]
    torch.testing.assert_close(float(state["shares"].sum()), 1.0)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_the_unit_of_a_loss_does_not_matter_to_the_weights(factor: float) -> None:
    units = torch.tensor([[1.0], [factor], [1.0]], dtype=torch.float64)
    method = ExcessMTL(step_size=0.5)
    plain, scaled = initial(method), initial(method)
    for rows in trajectory():
        _, plain = method.step(plain, losses(), rows)
        _, scaled = method.step(scaled, losses(), units * rows)
        torch.testing.assert_close(scaled["shares"], plain["shares"])


def test_a_task_is_measured_from_its_first_batch_with_a_label() -> None:
    method = ExcessMTL()
    rows = trajectory()
    without = rows[0].clone()
    without[1] = 0.0
    _, once = method.step(initial(method), losses(), without)
    assert float(once["initial"][1]) == 0
    assert not once["squares"][1].any()
    _, twice = method.step(once, losses(), rows[1])
    torch.testing.assert_close(float(twice["initial"][1]), float(rows[1][1].abs().sum()))
    assert torch.equal(twice["initial"][[0, 2]], once["initial"][[0, 2]])
