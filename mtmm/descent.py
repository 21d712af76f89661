"""From the losses of a step to the gradient of every parameter, by a weighting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mtmm.gradients import (
    CannotBatchError,
    Gradients,
    gramian_of,
    pulled_back,
    pulled_back_at_once,
    reached,
)
from mtmm.spaces import ROUTES, Mark, Meeting, weighted_sum
from mtmm.spec import SharedSpace, Space
from mtmm.weighting.base import State, Weighting
from mtmm.weighting.usage import Usage


def unmarked() -> None:
    """The mark of a step that nobody times."""


class Descent:
    """Adds the gradients of a step to every `.grad`, as a backward pass from one loss does.

    `parameters` are those to move; without them they are looked up in the graph of every step.
    `weights` `[T]` are the latest; None before the first step and for methods that give none.
    `gramian` `[T, T]` is the latest that the method was given.
    `steps` counts calls: with `every: k`, new weights are found in calls 0, k, 2k, ...
    """

    def __init__(
        self,
        method: Weighting,
        usage: Usage,
        *,
        parameters: Iterable[nn.Parameter] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        self.method = method
        self.usage = usage
        self.generator = generator
        self.weights: Tensor | None = None
        self.gramian: Tensor | None = None
        self.steps = 0
        self._parameters = None if parameters is None else list(parameters)
        self._pull_back = PullBack()

    @property
    def phases(self) -> tuple[str, ...]:
        """What the marks of a call end: `backward` comes in two parts around a solver."""
        return ("backward",) if self.usage.space is None else ("backward", "solver", "backward")

    def __call__(
        self,
        losses: Sequence[Tensor],
        shared: SharedSpace,
        state: State,
        *,
        mark: Mark = unmarked,
        scale: Tensor | None = None,
    ) -> State:
        """The state of the method after a step with these `losses`, whose graphs are freed.

        `scale` is the factor that losses come multiplied with, if they do; so will gradients.
        `mark` is called after each of `phases`. Raises ValueError where `shared` lacks the method's
        space.
        """
        step = _Step(self, state, losses, scale)
        if self.usage.space is None:
            total = torch.dot(step.weights(), torch.stack(list(losses)))
            total.backward()  # type: ignore[no-untyped-call]
            mark()
        elif self.weights is None or self.steps % self.usage.every == 0:
            route = ROUTES[self.usage.space, self.usage.gradients]
            route(self._meeting(losses, shared, self.usage.space), step, mark)
        else:
            mark()
            mark()
            weighted_sum(self._meeting(losses, shared, self.usage.space), self.weights)
            mark()
        self.steps += 1
        return step.state

    def solve(
        self, state: State, losses: Tensor, gramian: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """The weights `[T]` as they are used, and the state after."""
        method: Any = self.method  # the kinds of `step` differ
        drawn = method.draw(state, len(losses), self.generator)
        given = () if gramian is None else (gramian,)
        weights, state = method.step(drawn, losses, *given)
        self.weights, self.gramian = self.usage.rescaled(weights.detach()), gramian
        return self.weights, state

    def combine(
        self, state: State, losses: Tensor, rows: Tensor, features: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """The gradient `[P]` of a Jacobian method, and the state after."""
        method: Any = self.method
        if not state:
            # Only now it is known how many parameters meet.
            state = method.init(
                len(rows), num_params=rows.shape[1], device=rows.device, dtype=rows.dtype
            )
        size = rows.shape[1] if features is None else features.shape[1]
        gradient, state = method.step(
            method.draw(state, size, self.generator), losses, rows, features
        )
        return gradient, state

    def state_dict(self) -> dict[str, Any]:
        """What later steps depend on besides the method's state."""
        return {
            "steps": self.steps,
            "weights": self.weights,
            "gramian": self.gramian,
            "random": None if self.generator is None else self.generator.get_state(),
        }

    def load_state_dict(self, kept: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        self.steps, self.weights, self.gramian = kept["steps"], kept["weights"], kept["gramian"]
        if self.generator is not None and kept["random"] is not None:
            self.generator.set_state(kept["random"])

    def parameter_gradients(self, state: State, losses: Tensor) -> dict[str, Tensor]:
        """The gradients of the method's learned tensors after a step with these losses `[T]`."""
        method: Any = self.method  # its kinds differ
        if not method.learned:
            return {}
        given = () if method.needs == "losses" else (self.gramian,)
        gradients: dict[str, Tensor] = method.parameter_gradients(state, losses, *given)
        return gradients

    def _meeting(self, losses: Sequence[Tensor], shared: SharedSpace, space: Space) -> Meeting:
        """Where the tasks meet, as far as the model says."""
        z = shared.z or ()
        last = [] if shared.last is None else _moved(shared.last.parameters())
        # Once, whatever groups a parameter is in: twice it would get twice its gradient.
        theta = _moved(dict.fromkeys(p for group in shared.theta.values() for p in group))
        if space == "z" and not theta:
            theta = reached(z)
        spaces: Mapping[Space, Sequence[Tensor]] = {"theta": theta, "z": z, "last": last}
        if not spaces[space]:
            has = ", ".join(name for name, there in spaces.items() if there) or "nothing shared"
            text = f"the weighting takes gradients in {space}, which the model has not"
            raise ValueError(f"{text} (it has: {has})")
        moved = reached(losses, before=z) if self._parameters is None else self._parameters
        inside = set(theta)
        own = [p for p in moved if p.requires_grad and p not in inside]
        return Meeting(
            losses=losses,
            theta=theta,
            own=own,
            z=z,
            last=last,
            heads=self.usage.heads,
            pull_back=self._pull_back,
        )


class PullBack:
    """Takes all tasks' cotangents back to parameters in the way that is fast on their device.

    On a GPU in one batched pass, where the operators can be batched; on a CPU one by one, which is
    faster for a convolutional network at every number of tasks (1.4 against 1.8 plain steps for
    two tasks, 4.2 against 6.0 for eight).
    """

    def __init__(self) -> None:
        self._can_batch = True

    def __call__(
        self,
        outputs: Sequence[Tensor],
        cotangents: Sequence[Gradients],
        tensors: Sequence[Tensor],
    ) -> Iterable[Gradients]:
        """See `mtmm.gradients.pulled_back`."""
        if outputs[0].is_cuda and self._can_batch:
            try:
                return pulled_back_at_once(outputs, cotangents, tensors)
            except CannotBatchError:
                self._can_batch = False
        return pulled_back(outputs, cotangents, tensors)


class _Step:
    """A descent's method in one step, and the state that it leaves."""

    def __init__(
        self, descent: Descent, state: State, losses: Sequence[Tensor], scale: Tensor | None
    ) -> None:
        self._descent = descent
        self._scale = scale
        detached = torch.stack([loss.detach() for loss in losses])
        self._losses = detached if scale is None else detached / scale
        self.state = state

    def weights(self, gramian: Tensor | None = None) -> Tensor:
        """See `Solver.weights`; without a Gramian for a method that needs losses only."""
        if gramian is not None and self._scale is not None:
            gramian = gramian / self._scale.square()
        weights, self.state = self._descent.solve(self.state, self._losses, gramian)
        return weights

    def combine(self, rows: Tensor, features: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """See `Solver.combine`."""
        if self._descent.method.needs == "gramian":
            weights = self.weights(gramian_of(rows))
            return weights @ rows, weights
        exact = rows if self._scale is None else rows / self._scale
        gradient, self.state = self._descent.combine(self.state, self._losses, exact, features)
        return gradient if self._scale is None else gradient * self._scale, None


def _moved(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    return [parameter for parameter in parameters if parameter.requires_grad]
