"""What every Jacobian method must do, and each against its definition."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from mtmm.solvers.simplex import projection
from mtmm.weighting import WEIGHTINGS
from mtmm.weighting.base import State
from mtmm.weighting.db_mtl import DBMTL
from mtmm.weighting.excess import ExcessMTL
from mtmm.weighting.graddrop import GradDrop
from mtmm.weighting.jacobian import JacobianWeighting
from mtmm.weighting.moco import MoCo
from tests.mtmm.weighting import properties

CPU = torch.device("cpu")
METHODS = [name for name, method in WEIGHTINGS.items() if method.needs == "jacobian"]
TASKS, SIZE = 3, 10

every_method = pytest.mark.parametrize("name", METHODS)


def made(name: str) -> JacobianWeighting:
    method: Any = WEIGHTINGS[name]
    built: JacobianWeighting = method()
    return built


def initial(method: JacobianWeighting, tasks: int = TASKS, size: int = SIZE) -> State:
    state = method.init(tasks, num_params=size, device=CPU, dtype=torch.float64)
    return method.draw(state, size, torch.Generator().manual_seed(0))


def rows_of(seed: int, tasks: int = TASKS, size: int = SIZE) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(tasks, size, generator=generator, dtype=torch.float64)


def losses_of(seed: int, tasks: int = TASKS) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(tasks, generator=generator, dtype=torch.float64) + 0.5


@every_method
@pytest.mark.parametrize("what", ["zero", "nan"])
def test_a_jacobian_without_answer_falls_back_and_is_counted(name: str, what: str) -> None:
    method = made(name)
    state = initial(method)
    rows = torch.zeros(TASKS, SIZE, dtype=torch.float64)
    if what == "nan":
        rows[0, 0] = math.nan
    gradient, after = method.step(state, losses_of(0), rows)
    assert gradient[1:].tolist() == [0] * (SIZE - 1)
    assert int(after["fallbacks"]) == 1
    for key in state.keys() - {"fallbacks"}:
        assert torch.equal(state[key], after[key])


@every_method
def test_a_task_without_gradient_is_left_out(name: str) -> None:
    """The others get what they would get without it, in a first step."""
    method, rows, losses = made(name), rows_of(1), losses_of(1)
    wide = torch.cat([rows[:1], torch.zeros_like(rows[:1]), rows[1:]])
    more = torch.cat([losses[:1], torch.zeros(1, dtype=torch.float64), losses[1:]])
    gradient, _ = method.step(initial(method, TASKS + 1), more, wide)
    expected, _ = method.step(initial(method), losses, rows)
    if name in ("moco", "excess"):  # their weights start at 1 / T
        parallel = gradient @ expected / gradient.norm() / expected.norm()
        assert float(parallel) > 0.99
        return
    torch.testing.assert_close(gradient, expected)


@every_method
def test_a_step_is_lifted_and_asks_for_no_number(name: str) -> None:
    method = made(name)
    properties.assert_lifted(method, initial(method), losses_of(2), rows_of(2))
    properties.assert_no_round_trip(method, initial(method), losses_of(2), rows_of(2))


@every_method
def test_the_order_of_tasks_does_not_matter(name: str) -> None:
    method, rows, losses = made(name), rows_of(3), losses_of(3)
    expected, _ = method.step(initial(method), losses, rows)
    found, _ = method.step(initial(method), losses.flip(0), rows.flip(0))
    torch.testing.assert_close(found, expected)


def test_graddrop_adds_up_gradients_of_the_sign_that_is_drawn() -> None:
    rows = torch.tensor([[1.0, -2, 3, 0], [2, 1, -4, 0]], dtype=torch.float64)
    state = initial(GradDrop(), 2, 4)
    # The share of positive gradients is 1, 1/3, 3/7, 0 by 0.
    for uniform, expected in (
        ([0.5, 0.3, 0.4, 0.5], [3, 1, 3, 0]),
        ([0.99, 0.4, 0.5, 0.5], [3, -2, -4, 0]),
    ):
        drawn = {**state, "uniform": torch.tensor(uniform, dtype=torch.float64)}
        gradient, _ = GradDrop().step(drawn, losses_of(0, 2), rows)
        assert gradient.tolist() == expected


def test_graddrop_in_z_draws_once_a_feature_by_sign_times_gradient_over_the_batch() -> None:
    features = torch.tensor([[1.0, -1.0], [2.0, 1.0]], dtype=torch.float64)
    rows = torch.tensor([[1.0, 1, 1, 1], [-3, 0, 1, 2]], dtype=torch.float64)
    # sign(z) · g summed over samples: task 0 [2, 0], task 1 [-2, 2].
    state = GradDrop().init(2, num_params=4, device=CPU, dtype=torch.float64)
    drawn = {**state, "uniform": torch.tensor([0.4, 0.9], dtype=torch.float64)}
    gradient, _ = GradDrop().step(drawn, losses_of(0, 2), rows, features)
    # Feature 0: positive, task 0 stays; feature 1: positive, task 1 stays.
    assert gradient.tolist() == [1, 0, 1, 2]


def test_db_mtl_over_some_steps() -> None:
    method = DBMTL(beta=0.9, beta_sigma=0.5)
    state, average = initial(method), torch.zeros(TASKS, SIZE, dtype=torch.float64)
    for step in range(1, 5):
        rows, losses = rows_of(step), losses_of(step)
        share = 0.9 / step**0.5
        average = share * average + (1 - share) * rows / losses[:, None]
        norms = average.norm(dim=1)
        gradient, state = method.step(state, losses, rows)
        torch.testing.assert_close(gradient, norms.max() * (average / norms[:, None]).sum(0))


def test_moco_over_some_steps() -> None:
    method = MoCo(beta=0.5, beta_sigma=0.5, gamma=0.1, gamma_sigma=0.3, rho=0.2)
    state = initial(method)
    tracked = torch.zeros(TASKS, SIZE, dtype=torch.float64)
    shares = torch.full((TASKS,), 1 / TASKS, dtype=torch.float64)
    for step in range(1, 5):
        rows, losses = rows_of(step), losses_of(step)
        unit = rows / rows.norm(dim=1, keepdim=True) * losses[:, None]
        tracked = tracked - 0.5 / step**0.5 * (tracked - unit)
        slope = (tracked @ tracked.mT + 0.2 * torch.eye(TASKS).double()) @ shares
        shares = nearest_on_simplex(shares - 0.1 / step**0.3 * slope)
        gradient, state = method.step(state, losses, rows)
        torch.testing.assert_close(gradient, shares @ tracked, rtol=1e-5, atol=1e-6)


def nearest_on_simplex(point: Tensor) -> Tensor:
    solve: Any = minimize  # its stubs know no keyword together with another
    answer = solve(
        lambda x: ((x - point.numpy()) ** 2).sum(),
        torch.full_like(point, 1 / len(point)).numpy(),
        jac=lambda x: 2 * (x - point.numpy()),
        bounds=[(0, None)] * len(point),
        constraints={"type": "eq", "fun": lambda x: x.sum() - 1, "jac": lambda x: 0 * x + 1},
        method="SLSQP",
        options={"ftol": 1e-16},
    )
    return torch.from_numpy(answer.x)


@pytest.mark.parametrize("point", [[0.2, 0.3, 0.5], [5.0, 0.0, 0.0], [-1.0, 0.2, 0.9], [3.0] * 3])
def test_the_projection_onto_the_simplex(point: list[float]) -> None:
    given = torch.tensor(point, dtype=torch.float64)
    found = projection(given)
    torch.testing.assert_close(found, nearest_on_simplex(given), rtol=1e-6, atol=1e-6)
    assert found.sum() == pytest.approx(1, abs=1e-12)


def test_excess_over_some_steps() -> None:
    method = ExcessMTL(step_size=0.3)
    state = initial(method)
    squares = torch.zeros(TASKS, SIZE, dtype=torch.float64)
    shares = torch.full((TASKS,), 1 / TASKS, dtype=torch.float64)
    first = None
    for step in range(1, 5):
        rows = rows_of(step)
        squares = squares + rows**2
        excess = torch.stack(
            [g @ torch.diag(s**-0.5) @ g for g, s in zip(rows, squares, strict=True)]
        )
        first = excess if first is None else first
        shares = shares * torch.exp(0.3 * excess / first)
        shares = shares / shares.sum()
        gradient, state = method.step(state, losses_of(step), rows)
        torch.testing.assert_close(gradient, shares @ rows)
