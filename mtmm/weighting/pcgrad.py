"""Projecting conflicting gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mtmm.weighting.base import State
from mtmm.weighting.gramian import GramianWeighting


class PCGrad(GramianWeighting):
    """Each gradient loses its part along every original one it conflicts with, one after the other
    in random order; then they are added up (Yu et al. 2020, arXiv 2001.06782).

    Over all shared parameters at once, never against itself, and the sum, not the mean.
    """

    mean = False

    def init(self, num_tasks: int, **where: Any) -> dict[str, Tensor]:
        """`order` `[T, T]`: for each task the order in which it meets the others."""
        state = super().init(num_tasks, **where)
        return {**state, "order": _in_order(num_tasks, state["fallbacks"].device)}

    def draw(self, state: State, size: int, generator: torch.Generator | None) -> State:
        """An order for each task."""
        return {**state, "order": random_orders(state["order"], generator)}

    def solve(
        self, state: State, losses: Tensor, gramian: Tensor, active: Tensor
    ) -> tuple[Tensor, Tensor, State]:
        """See `GramianWeighting.solve`."""
        tasks = torch.arange(len(gramian), device=gramian.device)
        squares = torch.where(active, gramian.diagonal(), 1.0)
        mixed = torch.diag(active.double())  # row i: what the i-th gradient is made of by now
        for met in state["order"].unbind(1):
            along = (mixed @ gramian).gather(1, met[:, None]).squeeze(1)
            conflict = (along < 0) & (met != tasks)
            lost = torch.where(conflict, along / squares.gather(0, met), 0.0)
            mixed = mixed.scatter_add(1, met[:, None], -lost[:, None])
        return mixed.sum(0), torch.ones_like(active[0]), state


def random_orders(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """A random order of the tasks in each row, shaped as `like` `[T, T]`."""
    numbers = torch.rand(like.shape, generator=generator, device=like.device)
    return numbers.argsort(1)


def _in_order(num_tasks: int, device: torch.device) -> Tensor:
    return torch.arange(num_tasks, device=device).repeat(num_tasks, 1)
