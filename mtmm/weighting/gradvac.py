"""Gradient vaccine."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor

from mtmm.settings import Range
from mtmm.weighting.base import State
from mtmm.weighting.gramian import GramianWeighting
from mtmm.weighting.pcgrad import random_orders


class GradVac(GramianWeighting):
    """PCGrad with a goal for each pair: a gradient whose cosine with another is below the pair's
    usual one is turned towards it until it is that (Wang et al. 2021, arXiv 2010.05874).

    The goal is an exponential moving average of the cosines met, of rate `beta`, 0 at first, and
    updated after it was used. Over all shared parameters at once, in random order; the sum.
    """

    mean = False

    def __init__(self, *, beta: Annotated[float, Range(low=0, high=1)] = 0.01) -> None:
        self.beta = beta

    def init(self, num_tasks: int, **where: Any) -> dict[str, Tensor]:
        """`goal` `[T, T]`: cosines; `order` `[T, T]`: that in which each task meets the others."""
        state = super().init(num_tasks, **where)
        device = state["fallbacks"].device
        order = torch.arange(num_tasks, device=device).repeat(num_tasks, 1)
        goal = torch.zeros(num_tasks, num_tasks, device=device, dtype=torch.float64)
        return {**state, "order": order, "goal": goal}

    def draw(self, state: State, size: int, generator: torch.Generator | None) -> State:
        """An order for each task."""
        return {**state, "order": random_orders(state["order"], generator)}

    def solve(
        self, state: State, losses: Tensor, gramian: Tensor, active: Tensor
    ) -> tuple[Tensor, Tensor, State]:
        """See `GramianWeighting.solve`."""
        tasks = torch.arange(len(gramian), device=gramian.device)
        norms = torch.where(active, gramian.diagonal(), 1.0).sqrt()
        mixed, goal = torch.diag(active.double()), state["goal"]
        for met in state["order"].unbind(1):
            other = met[:, None]
            along = mixed @ gramian
            own = (along * mixed).sum(1).clamp(min=0).sqrt()
            theirs = norms.gather(0, met)
            length = own * theirs
            pair = active & active.gather(0, met) & (met != tasks) & (length > 0)
            cosine = along.gather(1, other).squeeze(1) / torch.where(length > 0, length, 1.0)
            cosine = cosine.clamp(-1, 1)
            wanted = goal.gather(1, other).squeeze(1)
            sine, wanted_sine = (1 - cosine**2).sqrt(), (1 - wanted**2).sqrt()
            # A goal of 1 has no finite correction; it cannot be reached by averages below it.
            turn = own * (wanted * sine - cosine * wanted_sine)
            turn = turn / (theirs * torch.where(wanted_sine > 0, wanted_sine, 1.0))
            turn = torch.where(pair & (cosine < wanted) & (wanted_sine > 0), turn, 0.0)
            mixed = mixed.scatter_add(1, other, turn[:, None])
            moved = torch.where(pair, (1 - self.beta) * wanted + self.beta * cosine, wanted)
            goal = goal.scatter(1, other, moved[:, None])
        return mixed.sum(0), torch.ones_like(active[0]), {**state, "goal": goal}
