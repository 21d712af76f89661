"""What every Gramian method must do, and what each claims."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from mtmm.weighting import WEIGHTINGS
from mtmm.weighting.base import State
from mtmm.weighting.gramian import GramianWeighting
from tests.mtmm.weighting import properties
from tests.mtmm.weighting.jacobians import random_jacobians

CPU = torch.device("cpu")
METHODS = [name for name, method in WEIGHTINGS.items() if issubclass(method, GramianWeighting)]
UNBOUND: dict[str, dict[str, Any]] = {"nash": {"max_norm": None}, "fairgrad": {"max_norm": None}}

every_method = pytest.mark.parametrize("name", METHODS)


def made(name: str, **settings: Any) -> GramianWeighting:
    method: Any = WEIGHTINGS[name]
    built: GramianWeighting = method(**{**UNBOUND.get(name, {}), **settings})
    return built


def initial(method: GramianWeighting, tasks: int) -> State:
    return method.init(tasks, device=CPU, dtype=torch.float64)


def solver(name: str, **settings: Any) -> properties.Solve:
    """From rows to weights in a first step; random orders are those of `init`."""

    def solve(rows: Tensor) -> Tensor:
        method = made(name, **settings)
        losses = torch.ones(len(rows), dtype=rows.dtype)
        weights, _ = method.step(initial(method, len(rows)), losses, rows @ rows.mT)
        return weights

    return solve


def independent(count: int = 6) -> Iterator[Tensor]:
    """Rows `[T, P]` that are linearly independent, some at odds and some not."""
    generator = torch.Generator().manual_seed(1)
    for i in range(count):
        rows = torch.randn(2 + i % 5, 12, generator=generator, dtype=torch.float64)
        yield rows - (0.6 * rows.mean(0) if i % 2 else 0)


@every_method
def test_weights_are_finite_whatever_the_rows(name: str) -> None:
    for rows in random_jacobians(60):
        properties.assert_finite(solver(name), rows)


@pytest.mark.parametrize("name", sorted({*METHODS} - {"pcgrad", "gradvac"}))
def test_the_order_of_tasks_does_not_matter(name: str) -> None:
    for rows in independent():
        properties.assert_permutation_equivariant(solver(name), rows)


@pytest.mark.parametrize(
    "name", ["mgda", "upgrad", "dualproj", "nash", "fairgrad", "imtl_g", "config", "aligned"]
)
def test_no_loss_grows(name: str) -> None:
    """Equal projections, of IMTL-G and ConFIG, are all positive for independent gradients."""
    for rows in independent():
        if name == "imtl_g":
            rows = rows @ torch.linalg.qr(rows.mT).Q
            rows = torch.eye(len(rows), dtype=rows.dtype) + 0.1 * rows
        if name == "aligned":
            rows = torch.eye(len(rows), dtype=rows.dtype) + 0.1 * rows[:, : len(rows)]
        properties.assert_non_conflicting(solver(name), rows)


@pytest.mark.parametrize(
    ("name", "power"),
    [
        ("mgda", 0),
        ("upgrad", 0),
        ("dualproj", 0),
        ("cagrad", 0),
        ("pcgrad", 0),
        ("gradvac", 0),
        ("imtl_g", 0),
        ("aligned", 0),
        ("config", 0),
        ("gradnorm", 0),
        ("nash", -1),
        ("fairgrad", -1),
    ],
)
def test_how_weights_change_with_the_scale_of_all_gradients(name: str, power: float) -> None:
    for rows in independent():
        properties.assert_scales(solver(name), rows, power)


@pytest.mark.parametrize("name", ["mgda", "upgrad", "dualproj"])
def test_where_gradients_balance_nothing_moves(name: str) -> None:
    for rows in independent():
        properties.assert_stationary(solver(name), rows)


@every_method
def test_a_task_without_gradient_is_left_out(name: str) -> None:
    for rows in independent():
        properties.assert_leaves_out(solver(name), rows)


@every_method
@pytest.mark.parametrize("what", ["zero", "nan", "inf"])
def test_a_gramian_without_answer_falls_back_and_is_counted(name: str, what: str) -> None:
    method = made(name)
    state = initial(method, 3)
    gramian = torch.zeros(3, 3, dtype=torch.float64)
    gramian[0, 1] = {"zero": 0.0, "nan": math.nan, "inf": math.inf}[what]
    weights, after = method.step(state, torch.ones(3, dtype=torch.float64), gramian)
    expected = 1 / 3 if method.mean else 1.0
    assert torch.equal(weights, torch.full_like(weights, expected))
    assert int(after["fallbacks"]) == 1
    for key in state.keys() - {"fallbacks"}:
        assert torch.equal(state[key].nan_to_num(), after[key].nan_to_num())


@every_method
def test_parallel_gradients_are_no_problem(name: str) -> None:
    row = torch.arange(1.0, 7, dtype=torch.float64)
    method = made(name)
    for factors in ([1.0, 2.0, 3.0], [1.0, -1.0, 2.0]):
        rows = torch.tensor(factors, dtype=torch.float64)[:, None] * row
        losses = torch.ones(3, dtype=torch.float64)
        weights, after = method.step(initial(method, 3), losses, rows @ rows.mT)
        assert weights.isfinite().all()
        assert int(after["fallbacks"]) in (0, 1)
        if int(after["fallbacks"]):
            expected = 1 / 3 if method.mean else 1.0
            assert torch.equal(weights, torch.full_like(weights, expected))


@every_method
def test_a_step_is_lifted_and_asks_for_no_number(name: str) -> None:
    method = made(name)
    for rows in list(random_jacobians(9))[1:8:3]:
        losses = torch.rand(len(rows), generator=torch.Generator().manual_seed(0)).double() + 0.5
        gramian = rows @ rows.mT
        properties.assert_lifted(method, initial(method, len(rows)), losses, gramian)
        properties.assert_no_round_trip(method, initial(method, len(rows)), losses, gramian)
        drawn = method.draw(initial(method, len(rows)), len(rows), None)
        properties.assert_no_round_trip(method, drawn, losses, gramian)


@every_method
def test_weights_have_the_precision_of_the_losses_and_nothing_given_is_changed(name: str) -> None:
    method = made(name)
    rows = torch.randn(3, 8, generator=torch.Generator().manual_seed(2))
    losses, gramian = torch.ones(3), rows @ rows.mT
    state = method.init(3, device=CPU, dtype=torch.float32)
    copies = {key: value.clone() for key, value in state.items()}, losses.clone(), gramian.clone()
    weights, after = method.step(state, losses, gramian)
    assert weights.dtype == torch.float32
    assert after.keys() == state.keys()
    assert [after[key].dtype for key in state] == [value.dtype for value in state.values()]
    for key, value in state.items():
        assert torch.equal(value.nan_to_num(), copies[0][key].nan_to_num())
    assert torch.equal(losses, copies[1])
    assert torch.equal(gramian, copies[2])
