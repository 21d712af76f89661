"""A method with its state, for training loops of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mtmm.descent import Descent
from mtmm.gradients import gramian_of
from mtmm.spec import SharedSpace
from mtmm.weighting.base import State, Weighting
from mtmm.weighting.usage import Usage


class StatefulWeighting:
    """A weighting method for `num_tasks` tasks, and what it keeps from one step to the next.

    `parameters()` are its learned tensors: they belong into the optimizer, in a group of their own
    with the rate `learning_rate` and no weight decay. Most methods have none. Call `epoch_end` with
    the mean losses of every epoch, and where `method.looks_back`, `after_step` with the losses of
    the same batch after every step.
    """

    def __init__(
        self,
        method: Weighting,
        usage: Usage,
        num_tasks: int,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        generator: torch.Generator | None = None,
    ) -> None:
        method.check(num_tasks)
        self.method = method
        self.num_tasks = num_tasks
        self.descent = Descent(method, usage, generator=generator)
        self.state: State = {}
        if method.needs != "jacobian":  # whose state depends on the Jacobian's size
            self.state = method.init(num_tasks, device=torch.device(device), dtype=dtype)
        learned = {name: nn.Parameter(self.state[name]) for name in method.learned}
        self.state = {**self.state, **learned}

    @property
    def learning_rate(self) -> float:
        """The rate of `parameters()`."""
        return self.method.learning_rate

    def parameters(self) -> list[Tensor]:
        """The learned tensors."""
        return [self.state[name] for name in self.method.learned]

    def weights(self, losses: Tensor, gramian: Tensor | None = None) -> Tensor:
        """The weights `[T]` for losses `[T]` and, where the method needs it, a Gramian `[T, T]`.

        Raises ValueError for a Jacobian method, and where shapes do not fit.
        """
        if self.method.needs == "jacobian":
            raise ValueError("a method that needs the jacobian gives no weights: use `combine`")
        if (gramian is None) == (self.method.needs == "gramian"):
            text = "must" if gramian is None else "cannot"
            raise ValueError(f"`gramian` {text} be given: the method needs {self.method.needs}")
        self._check("losses", losses, (self.num_tasks,))
        if gramian is not None:
            self._check("gramian", gramian, (self.num_tasks, self.num_tasks))
        weights, self.state = self.descent.solve(self.state, losses.detach(), gramian)
        return weights

    def combine(self, jacobian: Tensor, losses: Tensor | None = None) -> Tensor:
        """One gradient `[P]` from the rows of the task gradients `[T, P]`.

        Without `losses` `[T]` they are taken for 1. Raises ValueError for a method that needs
        losses only, and where shapes do not fit.
        """
        if self.method.needs == "losses":
            raise ValueError("a method that needs losses only takes no jacobian: use `weights`")
        self._check("jacobian", jacobian, (self.num_tasks, jacobian.shape[-1]))
        losses = jacobian.new_ones(self.num_tasks) if losses is None else losses.detach()
        self._check("losses", losses, (self.num_tasks,))
        if self.method.needs == "gramian":
            return self.weights(losses, gramian_of(jacobian)) @ jacobian
        gradient, self.state = self.descent.combine(self.state, losses, jacobian)
        return gradient

    def backward(self, losses: Sequence[Tensor], shared: SharedSpace) -> Tensor | None:
        """See `mtmm.backward`."""
        if len(losses) != self.num_tasks:
            raise ValueError(f"`losses` must be {self.num_tasks} scalars; found {len(losses)}")
        detached = torch.stack([loss.detach() for loss in losses])
        self.state = self.descent(losses, shared, self.state)
        gradients = self.descent.parameter_gradients(self.state, detached)
        for name, gradient in gradients.items():
            self.state[name].grad = gradient
        return self.descent.weights

    def after_step(self, losses: Tensor) -> None:
        """Tell the losses `[T]` of the same batch after the optimizer's step."""
        self.state = self.method.after_step(self.state, losses.detach())

    def epoch_end(self, losses: Tensor) -> None:
        """Tell the mean losses `[T]` of an epoch."""
        self.state = self.method.epoch_end(self.state, losses.detach())

    def state_dict(self) -> dict[str, Any]:
        """All that later steps depend on."""
        state = {name: value.detach().clone() for name, value in self.state.items()}
        return {"state": state, "descent": self.descent.state_dict()}

    def load_state_dict(self, kept: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        state = dict(kept["state"])
        with torch.no_grad():
            for name in self.method.learned:  # in place: an optimizer holds these very tensors
                self.state[name].copy_(state.pop(name))
        self.state = {**self.state, **state}
        self.descent.load_state_dict(kept["descent"])

    @staticmethod
    def _check(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
        if tensor.shape != shape:
            raise ValueError(f"`{name}` must be {list(shape)}; found {list(tensor.shape)}")
