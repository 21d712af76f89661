"""A weighting: from what a step knows of the tasks to the weight of each, or to one gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor

from mtmm.spec import Space
from mtmm.weighting.usage import Heads, usage

State = Mapping[str, Tensor]
Needs = Literal["losses", "gramian", "jacobian"]


class Weighting:
    """What every method is and has; a method is a subclass of one of the three below it.

    The state is a dict of tensors that belongs to the training run, not to this object. `learned`
    names the tensors of the state that an optimizer moves; their gradients come in closed form
    from `parameter_gradients`, in a parameter group of their own with rate `learning_rate` and no
    weight decay. `step` is plain tensor code on the device of its arguments, without a round trip
    to the host, and does not change them: `torch.vmap` lifts it.

    `needs` says what a step takes besides the state. `spaces` are the gradient spaces that Gramian
    or Jacobian may be of (none for a method that needs losses only) and `space` the one they are of
    where a suite says nothing; `heads` says likewise whether the parameters of one task alone get
    its gradient as it is (`unit`) or times its weight. With fewer than `fewest_tasks` a method has
    nothing to do.
    """

    common_settings = staticmethod(usage)
    fewest_tasks: ClassVar[int] = 2
    needs: ClassVar[Needs] = "losses"
    spaces: ClassVar[frozenset[Space]] = frozenset()
    space: ClassVar[Space | None] = None
    heads: ClassVar[Heads] = "weighted"
    learned: ClassVar[tuple[str, ...]] = ()
    learning_rate: float = 0.0

    @property
    def looks_back(self) -> bool:
        """Whether it wants the losses after a step, which takes a second forward pass."""
        return type(self).after_step is not Weighting.after_step

    def check(self, num_tasks: int) -> None:
        """Raise ValueError where the settings do not fit that many tasks."""

    def init(
        self,
        num_tasks: int,
        *,
        num_params: int | None = None,
        device: torch.device,
        dtype: torch.dtype,
    ) -> dict[str, Tensor]:
        """The state before the first step; `num_params` is P of the Jacobians to come, if any."""
        return {}

    def draw(self, state: State, size: int, generator: torch.Generator | None) -> State:
        """The state with fresh random numbers for one step, for methods that draw some.

        `size` is how many coordinates of a gradient are drawn for (Jacobian methods): P, or D of
        the features.
        """
        return state

    def step(self, state: State, losses: Tensor) -> tuple[Tensor, State]:
        """The weights `[T]` for these losses `[T]` (detached), and the state after.

        A Gramian method takes the Gramian `[T, T]` of the task gradients as third argument, a
        Jacobian method their rows `[T, P]`, and gives the combined gradient `[P]`.
        """
        raise NotImplementedError

    def parameter_gradients(self, state: State, losses: Tensor) -> dict[str, Tensor]:
        """The gradient of each tensor in `learned`, given the losses `[T]` (detached).

        A Gramian method takes the Gramian as third argument here too.
        """
        return {}

    def after_step(self, state: State, losses: Tensor) -> State:
        """The state once the optimizer has stepped; `losses` `[T]` are those of the batch then."""
        return state

    def epoch_end(self, state: State, losses: Tensor) -> State:
        """The state after an epoch whose mean losses, before each step, were `losses` `[T]`."""
        return state
