from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from mtmm.weighting.base import State
from mtmm.weighting.gradvac import GradVac
from mtmm.weighting.pcgrad import PCGrad, random_orders


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def initial(tasks: int) -> dict[str, Tensor]:
    return GradVac().init(tasks, device=torch.device("cpu"), dtype=torch.float64)


def step(method: Any, state: State, rows: Tensor) -> tuple[Tensor, State]:
    """The combined gradient, and the state after."""
    losses = torch.ones(len(rows), dtype=rows.dtype)
    weights, after = method.step(state, losses, rows @ rows.mT)
    return weights @ rows, after


def by_the_paper(rows: Tensor, order: Tensor, goal: list[list[float]], beta: float) -> Tensor:
    """Algorithm 1 on the gradients themselves; `goal` is brought up to date."""
    total = torch.zeros_like(rows[0])
    for i, own in enumerate(rows):
        for j in order[i].tolist():
            if i == j:
                continue
            length, theirs = float(own.norm()), float(rows[j].norm())
            cosine, wanted = float(own @ rows[j]) / (length * theirs), goal[i][j]
            if cosine < wanted:
                sine, wanted_sine = math.sqrt(1 - cosine**2), math.sqrt(1 - wanted**2)
                turn = length * (wanted * sine - cosine * wanted_sine) / (theirs * wanted_sine)
                own = own + turn * rows[j]
            goal[i][j] = (1 - beta) * wanted + beta * cosine
        total = total + own
    return total


@pytest.mark.parametrize("beta", [0.01, 0.5])
def test_it_is_the_papers_algorithm_over_many_steps(beta: float) -> None:
    tasks, generator = 4, torch.Generator().manual_seed(0)
    method, state = GradVac(beta=beta), dict(initial(tasks))
    goal = [[0.0] * tasks for _ in range(tasks)]
    for seed in range(20):
        rows = normal(tasks, 5, seed=seed) + normal(1, 5, seed=99)
        order = random_orders(torch.zeros(tasks, tasks), generator)
        found, after = step(method, {**state, "order": order}, rows)
        state = dict(after)
        torch.testing.assert_close(found, by_the_paper(rows, order, goal, beta))
        torch.testing.assert_close(state["goal"], torch.tensor(goal, dtype=torch.float64))
    assert (state["goal"].fill_diagonal_(1).abs() > 1e-3).all()


@pytest.mark.parametrize("wanted", [-0.5, 0.0, 0.3, 0.9])
def test_a_gradient_is_turned_until_its_cosine_is_the_goal(wanted: float) -> None:
    rows = torch.tensor([[1.0, 2.0, 0.0], [-3.0, 1.0, -4.0]], dtype=torch.float64)
    before = torch.nn.functional.cosine_similarity(rows[0], rows[1], dim=0).item()
    goal = torch.tensor([[0.0, wanted], [-1.0, 0.0]], dtype=torch.float64)
    found, _ = step(GradVac(), {**initial(2), "goal": goal}, rows)
    turned = found - rows[1]  # the second has no goal above its cosine
    after = torch.nn.functional.cosine_similarity(turned, rows[1], dim=0).item()
    torch.testing.assert_close(after, max(before, wanted))


def test_with_goals_of_0_it_is_pcgrad() -> None:
    for seed in range(10):
        rows, order = normal(5, 4, seed=seed), torch.arange(5).repeat(5, 1).flip(1)
        found, _ = step(GradVac(beta=0.0), {**initial(5), "order": order}, rows)
        state = PCGrad().init(5, device=rows.device, dtype=rows.dtype)
        expected, _ = step(PCGrad(), {**state, "order": order}, rows)
        torch.testing.assert_close(found, expected)


def test_a_task_without_gradient_leaves_its_goals_as_they_were() -> None:
    rows = normal(3, 5, seed=0)
    rows[1] = 0
    goal = torch.tensor([[0, 0.1, 0.2], [0.3, 0, 0.4], [0.5, 0.6, 0]], dtype=torch.float64)
    _, after = step(GradVac(beta=0.5), {**initial(3), "goal": goal}, rows)
    moved = after["goal"] != goal
    assert moved.nonzero().tolist() == [[0, 2], [2, 0]]


def test_a_goal_of_1_changes_nothing() -> None:
    """Which has no finite correction; averages stay below it."""
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    found, _ = step(GradVac(), {**initial(2), "goal": torch.ones(2, 2).double()}, rows)
    torch.testing.assert_close(found, rows.sum(0))


def test_torchjd_turns_two_tasks_alike_step_after_step() -> None:
    """Of two tasks there is one order."""
    aggregation: Any = pytest.importorskip("torchjd.aggregation")
    theirs, state = aggregation.GradVac(beta=0.3, eps=0.0), dict(initial(2))
    for seed in range(10):
        rows = normal(2, 6, seed=seed) + 0.5 * normal(1, 6, seed=99)
        found, after = step(GradVac(beta=0.3), state, rows)
        state = dict(after)
        torch.testing.assert_close(found, theirs(rows))
