from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mtmm.descent import Descent
from mtmm.spec import SharedSpace
from mtmm.weighting.base import State, Weighting
from mtmm.weighting.equal import Equal
from mtmm.weighting.gramian import GramianWeighting
from mtmm.weighting.jacobian import JacobianWeighting
from mtmm.weighting.usage import Usage

TASKS = 3
ROUTES: list[dict[str, Any]] = [
    {"space": "theta", "gradients": "stored"},
    {"space": "theta", "gradients": "lean"},
    {"space": "z"},
    {"space": "last"},
]


class InverseNorm(GramianWeighting):
    """Weights 1 / ‖g_i‖ and a count of the steps taken."""

    def init(self, num_tasks: int, **where: Any) -> dict[str, Tensor]:
        return {**super().init(num_tasks, **where), "steps": torch.zeros(())}

    def solve(
        self, state: State, losses: Tensor, gramian: Tensor, active: Tensor
    ) -> tuple[Tensor, Tensor, State]:
        weights = gramian.diagonal().rsqrt()
        return weights, torch.ones_like(active[0]), {**state, "steps": state["steps"] + 1}


class Doubled(JacobianWeighting):
    """Twice the sum of the rows; remembers what it was given."""

    spaces = frozenset({"theta", "z"})

    def combine(
        self,
        state: State,
        losses: Tensor,
        jacobian: Tensor,
        features: Tensor | None,
        active: Tensor,
    ) -> tuple[Tensor, Tensor, State]:
        self.rows, self.features = jacobian, features
        return 2 * jacobian.sum(0), torch.ones_like(active[0]), state


class Net(nn.Module):
    """Two shared layers and three heads, one of them with a layer of its own before."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 5)
        self.last = nn.Linear(5, 3)
        self.heads = nn.ModuleList(nn.Linear(3, 2) for _ in range(TASKS))
        self.double()

    def forward(self, x: Tensor) -> tuple[list[Tensor], SharedSpace]:
        z = self.last(self.first(x).tanh()).tanh()
        losses = [(head(z) - task).square().mean() for task, head in enumerate(self.heads)]
        theta = {"first": tuple(self.first.parameters()), "last": tuple(self.last.parameters())}
        return losses, SharedSpace(theta=theta, z=(z,), last=self.last)

    def shared(self) -> list[nn.Parameter]:
        return [*self.first.parameters(), *self.last.parameters()]


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def usage(method: Weighting, **given: Any) -> Usage:
    return Usage.of(type(method), given)


def descended(
    net: Net, x: Tensor, method: Weighting, known: bool = True, **given: Any
) -> tuple[Descent, State]:
    """One step's gradients in `.grad`; `known` says whether parameters are told beforehand."""
    descent = Descent(
        method, usage(method, **given), parameters=net.parameters() if known else None
    )
    state: State = {}
    if method.needs != "jacobian":
        state = method.init(TASKS, device=x.device, dtype=x.dtype)
    net.zero_grad()
    losses, shared = net(x)
    return descent, descent(losses, shared, state)


def grads(parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    made = []
    for parameter in parameters:
        assert parameter.grad is not None
        made.append(parameter.grad.clone())
    return made


def weighted_grads(net: Net, x: Tensor, weights: Tensor) -> list[Tensor]:
    """The shared gradients of Σ w_i L_i by an ordinary backward pass."""
    net.zero_grad()
    losses, _ = net(x)
    torch.dot(weights, torch.stack(losses)).backward()
    return grads(net.shared())


def own_grads(net: Net, x: Tensor, weights: Tensor) -> list[Tensor]:
    weighted_grads(net, x, weights)
    return grads(list(net.heads.parameters()))


def norms(net: Net, x: Tensor, space: str) -> Tensor:
    losses, shared = net(x)
    assert shared.z is not None
    spaces = {"theta": net.shared(), "z": list(shared.z), "last": list(net.last.parameters())}
    rows = [torch.autograd.grad(loss, spaces[space], retain_graph=True) for loss in losses]
    return torch.stack([torch.cat([g.flatten() for g in row]).norm() for row in rows])


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("heads", ["unit", "weighted"])
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: "-".join(route.values()))
def test_every_route_gives_the_gradients_of_the_weighted_sum(
    net: Net, x: Tensor, route: dict[str, Any], heads: str, known: bool
) -> None:
    weights = 1 / norms(net, x, route["space"])
    expected = weighted_grads(net, x, weights)
    own = own_grads(net, x, weights if heads == "weighted" else torch.ones_like(weights))
    descent, state = descended(net, x, InverseNorm(), known=known, heads=heads, **route)
    for found, wanted in zip(grads(net.shared()), expected, strict=True):
        torch.testing.assert_close(found, wanted)
    for found, wanted in zip(grads(list(net.heads.parameters())), own, strict=True):
        torch.testing.assert_close(found, wanted)
    assert descent.weights is not None
    torch.testing.assert_close(descent.weights, weights)
    assert (int(state["steps"]), int(state["fallbacks"])) == (1, 0)


@pytest.mark.parametrize("gradients", ["stored", "lean"])
def test_a_model_that_names_no_representation(net: Net, x: Tensor, gradients: str) -> None:
    expected = weighted_grads(net, x, 1 / norms(net, x, "theta"))
    method = InverseNorm()
    descent = Descent(method, usage(method, gradients=gradients), parameters=net.parameters())
    net.zero_grad()
    losses, shared = net(x)
    state = method.init(TASKS, device=x.device, dtype=x.dtype)
    descent(losses, SharedSpace(theta=shared.theta), state)
    for found, wanted in zip(grads(net.shared()), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_parameters_that_no_task_shares_need_not_be_told_where_z_is(net: Net, x: Tensor) -> None:
    expected = weighted_grads(net, x, 1 / norms(net, x, "z"))
    method = InverseNorm()
    descent = Descent(method, usage(method, space="z"))
    net.zero_grad()
    losses, shared = net(x)
    descent(losses, SharedSpace(z=shared.z), method.init(TASKS, device=x.device, dtype=x.dtype))
    for found, wanted in zip(grads(net.shared()), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_losses_alone_take_one_backward_pass(net: Net, x: Tensor) -> None:
    expected = weighted_grads(net, x, torch.ones(TASKS, dtype=torch.float64))
    descent, _ = descended(net, x, Equal())
    assert descent.phases == ("backward",)
    assert all(map(torch.equal, grads(net.shared()), expected))


@pytest.mark.parametrize("space", ["theta", "z"])
def test_a_jacobian_method_gets_the_rows_and_gives_the_gradient(
    net: Net, x: Tensor, space: str
) -> None:
    twos = torch.full((TASKS,), 2.0, dtype=torch.float64)
    expected, own = weighted_grads(net, x, twos), own_grads(net, x, twos / 2)
    method = Doubled()
    descent, _ = descended(net, x, method, space=space)
    assert descent.weights is None
    for found, wanted in zip(grads(net.shared()), expected, strict=True):
        torch.testing.assert_close(found, wanted)
    for found, wanted in zip(grads(list(net.heads.parameters())), own, strict=True):
        torch.testing.assert_close(found, wanted)
    if space == "z":
        _, shared = net(x)
        assert shared.z is not None
        assert method.features is not None
        assert torch.equal(method.features, shared.z[0])
        assert method.rows.shape == (TASKS, x.shape[0] * 3)
    else:
        assert method.features is None
        assert method.rows.shape == (TASKS, sum(p.numel() for p in net.shared()))


def test_weights_are_found_in_one_of_every_k_steps(net: Net, x: Tensor) -> None:
    method = InverseNorm()
    descent = Descent(method, usage(method, every=3), parameters=net.parameters())
    state: State = method.init(TASKS, device=x.device, dtype=x.dtype)
    seen = []
    for step in range(5):
        net.zero_grad()
        losses, shared = net(x + step)
        state = descent(losses, shared, state)
        assert descent.weights is not None
        seen.append(descent.weights)
        expected = grads(net.shared())
        for found, wanted in zip(expected, weighted_grads(net, x + step, seen[-1]), strict=True):
            torch.testing.assert_close(found, wanted)
    assert state["steps"] == 2
    assert seen[0] is seen[1] is seen[2]
    assert not torch.equal(seen[2], seen[3])


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: "-".join(route.values()))
def test_marks_come_after_task_gradients_solver_and_combination(
    net: Net, x: Tensor, route: dict[str, Any]
) -> None:
    for every, count in ((1, 1), (2, 2)):
        method = InverseNorm()
        descent = Descent(method, usage(method, every=every, **route), parameters=net.parameters())
        assert descent.phases == ("backward", "solver", "backward")
        state: State = method.init(TASKS, device=x.device, dtype=x.dtype)
        for _ in range(count):
            net.zero_grad()
            seen: list[bool] = []

            def mark(seen: list[bool] = seen) -> None:
                seen.append(net.first.weight.grad is not None)

            losses, shared = net(x)
            state = descent(losses, shared, state, mark=mark)
            assert seen == [False, False, True]


def test_scaled_losses_give_scaled_gradients_and_the_same_weights(net: Net, x: Tensor) -> None:
    scale = torch.tensor(1024.0, dtype=torch.float64)
    for method in (InverseNorm(), Doubled()):
        for route in ROUTES[:3] if method.needs == "gramian" else ROUTES[:1]:
            descent, _ = descended(net, x, method, **route)
            expected, weights = grads(list(net.parameters())), descent.weights
            net.zero_grad()
            losses, shared = net(x)
            state: State = {}
            if method.needs == "gramian":
                state = method.init(TASKS, device=x.device, dtype=x.dtype)
            descent = Descent(method, usage(method, **route), parameters=net.parameters())
            descent([loss * scale for loss in losses], shared, state, scale=scale)
            for found, wanted in zip(grads(list(net.parameters())), expected, strict=True):
                torch.testing.assert_close(found, wanted * scale)
            if weights is not None:
                assert descent.weights is not None
                torch.testing.assert_close(descent.weights, weights)


def test_frozen_parameters_get_no_gradient(net: Net, x: Tensor) -> None:
    net.first.requires_grad_(False)
    descended(net, x, InverseNorm())
    assert net.first.weight.grad is None
    assert net.last.weight.grad is not None


def test_gradients_add_to_those_that_are_there(net: Net, x: Tensor) -> None:
    _, _ = descended(net, x, InverseNorm())
    before = grads(list(net.parameters()))
    method = InverseNorm()
    descent = Descent(method, usage(method), parameters=net.parameters())
    losses, shared = net(x)
    descent(losses, shared, method.init(TASKS, device=x.device, dtype=x.dtype))
    for found, wanted in zip(grads(list(net.parameters())), before, strict=True):
        torch.testing.assert_close(found, 2 * wanted)


@pytest.mark.parametrize("space", ["theta", "z", "last"])
def test_a_space_that_the_model_has_not_is_told(net: Net, x: Tensor, space: str) -> None:
    method = InverseNorm()
    descent = Descent(method, usage(method, space=space), parameters=net.parameters())
    losses, _ = net(x)
    text = rf"gradients in {space}, which the model has not \(it has: nothing shared\)"
    with pytest.raises(ValueError, match=text):
        descent(losses, SharedSpace(), method.init(TASKS, device=x.device, dtype=x.dtype))


def test_the_state_goes_on_from_where_it_was_kept(net: Net, x: Tensor) -> None:
    descent, _ = descended(net, x, InverseNorm(), every=2)
    kept = descent.state_dict()
    other = Descent(descent.method, descent.usage, parameters=net.parameters())
    other.load_state_dict(kept)
    assert (other.steps, other.weights) == (1, descent.weights)
