"""The gradient spaces: where task gradients are taken, and how the combined one is passed on.

Each function goes through one step: task gradients, `mark`, solver, `mark`, combination, `mark`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from mtmm.gradients import (
    Gradients,
    Layout,
    added,
    deposit,
    gramian_at_once,
    gramian_of,
    of_losses,
    pulled_back,
)
from mtmm.weighting.usage import Heads

Mark = Callable[[], None]
PullBack = Callable[[Sequence[Tensor], Sequence[Gradients], Sequence[Tensor]], Iterable[Gradients]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """Where the tasks of one step meet.

    `losses` are scalars with their graphs, `theta` the parameters that tasks share and `own` all
    others, `z` the shared representation and `last` the parameters of the last shared module, where
    there are such. `pull_back` takes cotangents of every task for `z` back to parameters.
    """

    losses: Sequence[Tensor]
    theta: Sequence[nn.Parameter]
    own: Sequence[nn.Parameter]
    z: tuple[Tensor, ...] = ()
    last: Sequence[nn.Parameter] = ()
    heads: Heads
    pull_back: PullBack

    def own_gradients(self, of_tasks: Sequence[Gradients], weights: Tensor | None) -> None:
        """Deposit each task's own gradients, as they are or times its weight."""
        deposit(self.own, added(of_tasks, weights if self.heads == "weighted" else None))


class Solver(Protocol):
    """A method in one step."""

    def weights(self, gramian: Tensor) -> Tensor:
        """The weights `[T]` for the Gramian `[T, T]` of the task gradients."""
        ...

    def combine(self, rows: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The combined gradient `[P]` of rows `[T, P]`, and the weights, where there are any.

        `features` `[B, D]` are those whose gradients the rows are.
        """
        ...


def theta_stored(meeting: Meeting, solver: Solver, mark: Mark) -> None:
    """Shared parameters, their Jacobian kept."""
    of_own: list[Gradients] = []
    if meeting.z:
        of_z, of_own = _up_to_z(meeting)
        of_theta = meeting.pull_back(meeting.z, of_z, meeting.theta)
    else:
        both = of_losses(meeting.losses, [*meeting.theta, *meeting.own])
        of_theta = _first_parts(both, len(meeting.theta), of_own)
    layout = Layout(meeting.theta)
    rows = layout.rows(of_theta, len(meeting.losses), meeting.theta[0])
    mark()
    gradient, weights = solver.combine(rows)
    mark()
    deposit(meeting.theta, layout.views(gradient))
    meeting.own_gradients(of_own, weights)
    mark()


def theta_lean(meeting: Meeting, solver: Solver, mark: Mark) -> None:
    """Shared parameters, only the Gramian kept: one backward pass more, far less memory."""
    if meeting.z:
        outputs: Sequence[Tensor] = meeting.z
        cotangents, of_own = _up_to_z(meeting)
    else:
        outputs = [torch.stack(list(meeting.losses))]
        of_own = list(of_losses(meeting.losses, meeting.own, keep_graph=True))
        cotangents = [[row] for row in torch.eye(len(meeting.losses)).to(outputs[0]).unbind()]
    gramian = gramian_at_once(outputs, cotangents, meeting.theta)
    mark()
    weights = solver.weights(gramian)
    mark()
    combined = [added(cotangents, weights)]
    deposit(meeting.theta, next(pulled_back(outputs, combined, meeting.theta)))
    meeting.own_gradients(of_own, weights)
    mark()


def shared_representation(meeting: Meeting, solver: Solver, mark: Mark) -> None:
    """The representation `z` of the batch: every sample's gradient counts, none are added up."""
    of_z, of_own = _up_to_z(meeting)
    rows = torch.stack([_by_sample(gradients, meeting.z) for gradients in of_z])
    mark()
    features = _flat([tensor.detach() for tensor in meeting.z])
    gradient, weights = solver.combine(rows.flatten(1), features)
    mark()
    combined = _like_z(gradient.view_as(features), meeting.z)
    deposit(meeting.theta, next(pulled_back(meeting.z, [combined], meeting.theta)))
    meeting.own_gradients(of_own, weights)
    mark()


def last_module(meeting: Meeting, solver: Solver, mark: Mark) -> None:
    """The parameters of the last shared module stand for all shared ones."""
    of_last = of_losses(meeting.losses, meeting.last, keep_graph=True)
    rows = Layout(meeting.last).rows(of_last, len(meeting.losses), meeting.last[0])
    mark()
    weights = solver.weights(gramian_of(rows))
    mark()
    weighted_sum(meeting, weights)
    mark()


def weighted_sum(meeting: Meeting, weights: Tensor) -> None:
    """The gradients of the weighted sum of the losses, for weights `[T]` that are known."""
    total = torch.dot(weights, torch.stack(list(meeting.losses)))
    if meeting.heads == "weighted":
        torch.autograd.backward(total, inputs=[*meeting.theta, *meeting.own])
        return
    if meeting.own:
        plain = torch.stack(list(meeting.losses)).sum()
        torch.autograd.backward(plain, inputs=list(meeting.own), retain_graph=True)
    torch.autograd.backward(total, inputs=list(meeting.theta))


ROUTES: Mapping[tuple[str, str | None], Callable[[Meeting, Solver, Mark], None]] = {
    ("theta", "stored"): theta_stored,
    ("theta", "lean"): theta_lean,
    ("z", "stored"): shared_representation,
    ("last", "stored"): last_module,
}
"""By gradient space, and for `theta` by what is kept."""


def _up_to_z(meeting: Meeting) -> tuple[list[Gradients], list[Gradients]]:
    """Each task's gradients for `z` and for its own parameters, by a pass through its head."""
    of_own: list[Gradients] = []
    both = of_losses(meeting.losses, [*meeting.z, *meeting.own])
    return list(_first_parts(both, len(meeting.z), of_own)), of_own


def _first_parts(
    gradients: Iterable[Gradients], first: int, rest: list[Gradients]
) -> Iterator[Gradients]:
    """The first so many gradients of every task; the others are put into `rest`."""
    for of_task in gradients:
        rest.append(of_task[first:])
        yield of_task[:first]


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors `[B, ...]` side by side in 32 bits or more, `[B, D]`."""
    flat = torch.cat([tensor.flatten(1) for tensor in tensors], dim=1)
    return flat.float() if flat.dtype in (torch.bfloat16, torch.float16) else flat


def _by_sample(gradients: Gradients, z: Sequence[Tensor]) -> Tensor:
    pairs = zip(gradients, z, strict=True)
    return _flat([torch.zeros_like(tensor) if g is None else g for g, tensor in pairs])


def _like_z(flat: Tensor, z: Sequence[Tensor]) -> list[Tensor]:
    parts = torch.split(flat, [tensor[0].numel() for tensor in z], dim=1)
    return [part.reshape(t.shape).to(t.dtype) for part, t in zip(parts, z, strict=True)]
