"""A weighting: from the losses of a step to the weight of each task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import Tensor

from mtmm.spec import Space

State = Mapping[str, Tensor]


class Weighting:
    """Per-task losses `[T]` to weights `[T]`; the step minimises Σ w_i L_i, w held constant.

    The state is a dict of tensors that belongs to the training run, not to this object. `learned`
    names the tensors of the state that an optimizer moves; their gradients come in closed form
    from `parameter_gradients`, in a parameter group of their own with rate `learning_rate` and no
    weight decay. `needs` says what a step takes besides the state; `spaces` are the gradient
    spaces that Gramian or Jacobian may be of (none for a method that needs losses only).
    """

    needs: ClassVar[Literal["losses", "gramian", "jacobian"]] = "losses"
    spaces: ClassVar[frozenset[Space]] = frozenset()
    learned: ClassVar[tuple[str, ...]] = ()
    learning_rate: float = 0.0

    def check(self, num_tasks: int) -> None:
        """Raise ValueError where the settings do not fit that many tasks."""

    def init(
        self, num_tasks: int, *, device: torch.device, dtype: torch.dtype
    ) -> dict[str, Tensor]:
        """The state before the first step."""
        return {}

    def step(self, state: State, losses: Tensor) -> tuple[Tensor, State]:
        """The weights `[T]` for these losses `[T]` (detached), and the state after."""
        raise NotImplementedError

    def parameter_gradients(self, state: State, losses: Tensor) -> dict[str, Tensor]:
        """The gradient of each tensor in `learned`, given the losses `[T]` (detached)."""
        return {}
