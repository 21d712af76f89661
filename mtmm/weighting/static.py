"""Weights that are given."""

from __future__ import annotations

import torch
from torch import Tensor

from mtmm.settings import Weight
from mtmm.weighting.base import State, Weighting


class Static(Weighting):
    """The given `weights`, one per task in the order of the tasks; without them, equal weights."""

    fewest_tasks = 1

    def __init__(self, *, weights: list[Weight] | None = None) -> None:
        self.weights = weights

    def check(self, num_tasks: int) -> None:
        """One weight a task, not all of them 0."""
        if self.weights is None:
            return
        if len(self.weights) != num_tasks:
            rule = f"`weights` needs one number for each of the {num_tasks} tasks"
            raise ValueError(f"{rule}; found {len(self.weights)}")
        if not any(self.weights):
            raise ValueError("`weights` needs at least one number above 0; all are 0")

    def init(
        self,
        num_tasks: int,
        *,
        num_params: int | None = None,
        device: torch.device,
        dtype: torch.dtype,
    ) -> dict[str, Tensor]:
        """The weights on the device: copying them there in a step would wait for it."""
        weights = self.weights or [1.0] * num_tasks
        return {"weights": torch.tensor(weights, device=device, dtype=dtype)}

    def step(self, state: State, losses: Tensor) -> tuple[Tensor, State]:
        """The given weights."""
        return state["weights"], state
