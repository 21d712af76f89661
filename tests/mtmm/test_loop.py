from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import mtmm
from mtmm.settings import ConfigError
from mtmm.spec import SharedSpace
from mtmm.weighting import build


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(4, 6), nn.Tanh())
        self.heads = nn.ModuleList(nn.Linear(6, 1) for _ in range(2))

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        z = self.trunk(x)
        return z, [(head(z).float() - task).square().mean() for task, head in enumerate(self.heads)]


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(5, 4, generator=torch.Generator().manual_seed(1))


def grads(net: Net) -> list[Tensor]:
    made = []
    for parameter in net.parameters():
        assert parameter.grad is not None
        made.append(parameter.grad.clone())
    return made


def test_equal_weights_are_a_plain_backward_pass(net: Net, x: Tensor) -> None:
    _, losses = net(x)
    torch.stack(losses).sum().backward()
    expected = grads(net)
    net.zero_grad()
    _, losses = net(x)
    weights = mtmm.backward(losses, build("equal", num_tasks=2), net.trunk)
    assert weights is not None
    assert weights.tolist() == [1, 1]
    assert all(map(torch.equal, grads(net), expected))


def test_learned_weights_get_their_gradients_and_are_moved(net: Net, x: Tensor) -> None:
    weighting = build("uncertainty", num_tasks=2, initial=0.5)
    groups: list[dict[str, Any]] = [
        {"params": net.parameters()},
        {"params": weighting.parameters(), "lr": weighting.learning_rate},
    ]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    _, losses = net(x)
    mtmm.backward(losses, weighting, net.trunk)
    (learned,) = weighting.parameters()
    expected = 0.5 - torch.exp(torch.tensor(-0.5)) * torch.stack(losses).detach()
    assert learned.grad is not None
    torch.testing.assert_close(learned.grad, expected)
    optimizer.step()
    torch.testing.assert_close(learned.detach(), 0.5 - weighting.learning_rate * expected)
    weights = weighting.weights(torch.stack(losses))
    torch.testing.assert_close(weights, torch.exp(-learned.detach()))


@pytest.mark.parametrize("space", ["theta", "z"])
def test_within_autocast_it_is_as_after_it(net: Net, x: Tensor, space: str) -> None:
    found = []
    for within in (True, False):
        net.zero_grad()
        weighting = build("mgda", num_tasks=2, space=space)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            z, losses = net(x)
            shared = [z] if space == "z" else net.trunk
            weights = mtmm.backward(losses, weighting, shared) if within else None
        weights = weights if within else mtmm.backward(losses, weighting, shared)
        assert weights is not None
        found.append([weights, *grads(net)])
    assert z.dtype == torch.bfloat16
    assert all(map(torch.equal, *found))


def test_the_state_can_be_kept_and_gone_on_from(x: Tensor) -> None:
    first = build("uncertainty", num_tasks=2, initial=0.5)
    second = build("uncertainty", num_tasks=2)
    (held,) = second.parameters()
    second.load_state_dict(first.state_dict())
    assert held is second.parameters()[0]
    assert held.tolist() == [0.5, 0.5]


def test_wrong_calls_are_told(net: Net, x: Tensor) -> None:
    weighting = build("equal", num_tasks=3)
    _, losses = net(x)
    with pytest.raises(ValueError, match="`losses` must be 3 scalars; found 2"):
        mtmm.backward(losses, weighting, net.trunk)
    with pytest.raises(ValueError, match="`losses` must be \\[3\\]; found \\[2\\]"):
        weighting.weights(torch.ones(2))
    with pytest.raises(ValueError, match="`gramian` cannot be given"):
        weighting.weights(torch.ones(3), torch.eye(3))
    with pytest.raises(ValueError, match="takes no jacobian: use `weights`"):
        weighting.combine(torch.ones(3, 4))
    with pytest.raises(ConfigError, match="unknown weighting 'pcgrat'"):
        build("pcgrat", num_tasks=2)
    with pytest.raises(ConfigError, match=r"unknown setting 'inital' .* did you mean 'initial'"):
        build("uncertainty", num_tasks=2, inital=1)
    with pytest.raises(ValueError, match=r"`every` .* must be 1"):
        build("equal", num_tasks=2, every=2)
    mixed = [*net.trunk.parameters(), net(x)[0]]
    with pytest.raises(ValueError, match="found some of both"):
        mtmm.backward(losses, build("equal", num_tasks=2), mixed)


def test_a_shared_space_is_taken_as_it_is(net: Net, x: Tensor) -> None:
    z, losses = net(x)
    space = SharedSpace(theta={"trunk": tuple(net.trunk.parameters())}, z=(z,))
    assert (
        mtmm.backward(losses, build("static", num_tasks=2, weights=[1.0, 2.0]), space) is not None
    )


def test_a_parameter_in_two_groups_counts_once() -> None:
    trunk, heads = nn.Linear(4, 3), [nn.Linear(3, 1) for _ in range(2)]
    x, weighting, once = torch.randn(5, 4), build("mgda", num_tasks=2), tuple(trunk.parameters())
    gradients = []
    for groups in ({"a": once}, {"a": once, "b": once[1:]}):
        losses = [head(trunk(x)).square().mean() * (i + 1) for i, head in enumerate(heads)]
        trunk.zero_grad()
        mtmm.backward(losses, weighting, SharedSpace(theta=groups))
        assert trunk.bias.grad is not None
        gradients.append(trunk.bias.grad.clone())
    torch.testing.assert_close(*gradients)
