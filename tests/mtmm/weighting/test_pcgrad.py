from __future__ import annotations

import torch
from torch import Tensor

from mtmm.weighting.pcgrad import PCGrad, random_orders


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def combined(rows: Tensor, order: Tensor) -> Tensor:
    method, losses = PCGrad(), torch.ones(len(rows), dtype=rows.dtype)
    state = method.init(len(rows), device=rows.device, dtype=rows.dtype)
    weights, _ = method.step({**state, "order": order}, losses, rows @ rows.mT)
    return weights @ rows


def by_the_paper(rows: Tensor, order: Tensor) -> Tensor:
    """Algorithm 1 on the gradients themselves."""
    total = torch.zeros_like(rows[0])
    for i, own in enumerate(rows):
        for j in order[i].tolist():
            along = float(own @ rows[j])
            if j != i and along < 0:
                own = own - along / float(rows[j] @ rows[j]) * rows[j]
        total = total + own
    return total


def test_it_is_the_papers_algorithm_for_any_orders() -> None:
    for seed in range(30):
        tasks = 2 + seed % 6
        rows = normal(tasks, 4, seed=seed) * torch.exp(normal(tasks, 1, seed=seed + 50))
        generator = torch.Generator().manual_seed(seed)
        order = random_orders(torch.zeros(tasks, tasks), generator)
        torch.testing.assert_close(combined(rows, order), by_the_paper(rows, order))


def test_the_order_matters_once_three_conflict() -> None:
    rows = torch.tensor([[1.0, 0.0], [-0.5, 1.0], [-0.5, -0.9]], dtype=torch.float64)
    forwards = torch.arange(3).repeat(3, 1)
    assert not torch.allclose(combined(rows, forwards), combined(rows, forwards.flip(1)))


def test_without_conflict_it_is_the_sum() -> None:
    rows = normal(4, 6, seed=0).abs()
    order = torch.arange(4).repeat(4, 1)
    torch.testing.assert_close(combined(rows, order), rows.sum(0))


def test_every_task_draws_an_order_of_its_own() -> None:
    method, generator = PCGrad(), torch.Generator().manual_seed(0)
    state = method.init(7, device=torch.device("cpu"), dtype=torch.float64)
    drawn = method.draw(state, 7, generator)["order"]
    assert torch.equal(drawn.sort(1).values, torch.arange(7).repeat(7, 1))
    assert len(drawn.unique(dim=0)) > 1
    assert not torch.equal(method.draw(state, 7, generator)["order"], drawn)
    again = method.draw(state, 7, torch.Generator().manual_seed(0))["order"]
    assert torch.equal(again, drawn)
    assert torch.equal(state["order"], torch.arange(7).repeat(7, 1))


def test_every_order_is_as_likely() -> None:
    generator = torch.Generator().manual_seed(0)
    orders = random_orders(torch.zeros(6000, 3), generator)
    _, counts = orders.unique(dim=0, return_counts=True)
    assert len(counts) == 6
    assert ((counts - 1000).abs() < 150).all()  # five standard deviations
