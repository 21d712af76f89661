from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mtmm.gradients import (
    CannotBatchError,
    Layout,
    added,
    deposit,
    gramian_at_once,
    gramian_of,
    of_losses,
    pulled_back,
    pulled_back_at_once,
    reached,
)

TASKS = 3


class Net(nn.Module):
    """A convolution, batch normalisation, dropout and a recurrent layer before three heads."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3).to(memory_format=torch.channels_last)
        self.norm = nn.BatchNorm2d(4)
        self.lstm = nn.LSTM(4, 5, batch_first=True)
        self.heads = nn.ModuleList(nn.Linear(5, 2) for _ in range(TASKS))
        self.unused = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        maps = torch.dropout(self.norm(self.conv(x)).relu(), 0.3, True)
        z: Tensor = self.lstm(maps.flatten(2).mT)[0].mean(1)
        return z, [head(z).square().mean() for head in self.heads]

    def shared(self) -> list[nn.Parameter]:
        modules = (self.conv, self.norm, self.lstm)
        return [p for module in modules for p in module.parameters()] + [self.unused]


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net().double()


@pytest.fixture
def outputs(net: Net) -> tuple[Tensor, list[Tensor]]:
    z, losses = net(torch.randn(6, 2, 5, 5, dtype=torch.float64))
    return z, losses


def plain_rows(net: Net, losses: list[Tensor]) -> Tensor:
    """The Jacobian by ordinary backward passes, in each parameter's own order of elements."""
    rows = []
    for loss in losses:
        net.zero_grad()
        loss.backward(retain_graph=True)
        grads = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in net.shared()]
        rows.append(torch.cat([grad.flatten() for grad in grads]))
    net.zero_grad()
    return torch.stack(rows)


def in_order(net: Net, rows: Tensor) -> Tensor:
    """Rows of a `Layout` in each parameter's own order of elements."""
    layout = Layout(net.shared())
    return torch.stack([torch.cat([v.flatten() for v in layout.views(row)]) for row in rows])


def test_every_way_gives_the_same_jacobian(net: Net, outputs: tuple[Tensor, list[Tensor]]) -> None:
    z, losses = outputs
    expected = plain_rows(net, losses)
    assert expected.abs().sum(1).min() > 0
    layout, shared = Layout(net.shared()), net.shared()
    of_z = list(of_losses(losses, [z], keep_graph=True))
    batched = pulled_back_at_once([z], of_z, shared)
    one_by_one = pulled_back([z], of_z, shared)
    z, losses = outputs
    for gradients in (batched, one_by_one):
        torch.testing.assert_close(in_order(net, layout.rows(gradients, TASKS, z)), expected)


def test_gradients_of_losses_free_the_graph_unless_it_is_kept(net: Net) -> None:
    _, losses = net(torch.randn(6, 2, 5, 5, dtype=torch.float64))
    expected = plain_rows(net, losses)
    layout = Layout(net.shared())
    for _ in range(2):
        each = of_losses(losses, net.shared(), keep_graph=True)
        rows = layout.rows(each, TASKS, losses[0])
        torch.testing.assert_close(in_order(net, rows), expected)
    list(of_losses(losses, net.shared()))
    with pytest.raises(RuntimeError, match="second time"):
        list(of_losses(losses, net.shared()))


def test_the_gramian_at_once_is_that_of_the_jacobian(
    net: Net, outputs: tuple[Tensor, list[Tensor]]
) -> None:
    z, losses = outputs
    rows = plain_rows(net, losses)
    for module_outputs, cotangents in (
        ([z], list(of_losses(losses, [z], keep_graph=True))),
        ([torch.stack(losses)], [[row] for row in torch.eye(TASKS, dtype=torch.float64)]),
    ):
        found = gramian_at_once(module_outputs, cotangents, net.shared())
        torch.testing.assert_close(found, rows @ rows.mT)
    torch.testing.assert_close(gramian_of(rows), rows @ rows.mT)
    assert all(parameter.grad is None for parameter in net.parameters())
    assert not any(parameter._backward_hooks for parameter in net.parameters())


def test_a_task_that_does_not_reach_the_representation_has_a_row_of_zeros(net: Net) -> None:
    z, losses = net(torch.randn(6, 2, 5, 5, dtype=torch.float64))
    apart = nn.Parameter(torch.ones((), dtype=torch.float64))
    losses = [losses[0], apart * 2, losses[2]]
    of_z = list(of_losses(losses, [z]))
    assert of_z[1] == (None,)
    batched = pulled_back_at_once([z], of_z, net.shared())
    layout = Layout(net.shared())
    rows = layout.rows(pulled_back([z], of_z, net.shared()), TASKS, z)
    torch.testing.assert_close(rows, layout.rows(batched, TASKS, z))
    assert rows.abs().sum(1).gt(0).tolist() == [True, False, True]


class Stubborn(torch.autograd.Function):
    """An operator whose backward pass cannot be batched."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient * (1.0 if gradient.sum().item() else 2.0)


def test_what_cannot_be_batched_is_told() -> None:
    weight = nn.Parameter(torch.ones(3))
    z = Stubborn.apply(weight * 2)
    cotangents = [[torch.ones(3)], [torch.ones(3) * 3]]
    with pytest.raises(CannotBatchError, match=r"cannot be batched over tasks: .*item"):
        pulled_back_at_once([z], cotangents, [weight])
    (first,), (second,) = pulled_back([z], cotangents, [weight])
    assert first is not None
    assert second is not None
    assert (first.tolist(), second.tolist()) == ([2, 2, 2], [6, 6, 6])


def test_views_have_the_memory_order_of_their_tensors() -> None:
    weight = torch.empty(2, 3, 4, 5).to(memory_format=torch.channels_last)
    other = torch.empty(7)
    views = Layout([weight, other]).views(torch.arange(127.0))
    assert views[0].stride() == weight.stride()
    assert views[1].tolist() == list(range(120, 127))
    assert Layout([weight, other]).size == 127


def test_reached_are_the_leaves_below_and_not_those_before(net: Net) -> None:
    z, losses = net(torch.randn(6, 2, 5, 5, dtype=torch.float64))
    heads = set(net.heads.parameters())
    assert set(reached(losses)) == set(net.parameters()) - {net.unused}
    assert set(reached(losses, before=[z])) == heads
    assert set(reached([z])) == set(net.shared()) - {net.unused}
    assert set(reached(losses[:1], before=[z])) == set(net.heads[0].parameters())


def test_gradients_are_added_up_and_weighted() -> None:
    one = torch.ones(2)
    gradients = [[one, None, None], [3 * one, 5 * one, None]]
    assert [None if g is None else g.tolist() for g in added(gradients)] == [[4, 4], [5, 5], None]
    weighted = added(gradients, torch.tensor([1.0, 2.0]))
    assert [None if g is None else g.tolist() for g in weighted] == [[7, 7], [10, 10], None]


def test_deposited_gradients_are_laid_out_as_their_tensors() -> None:
    weight = nn.Parameter(torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last))
    gradient = torch.rand(2, 3, 4, 5)
    deposit([weight], [gradient])
    assert weight.grad is not None
    assert weight.grad.stride() == weight.stride()
    assert torch.equal(weight.grad, gradient)
    assert not weight.grad.requires_grad


def test_deposited_gradients_add_to_what_is_there() -> None:
    a, b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
    deposit([a, b], [torch.ones(2), None])
    deposit([a, b], [torch.ones(2), torch.ones(2)])
    assert a.grad is not None
    assert b.grad is not None
    assert (a.grad.tolist(), b.grad.tolist()) == ([2, 2], [1, 1])
