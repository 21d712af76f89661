"""Gradient normalisation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mtmm.settings import NotNegative, Rate
from mtmm.weighting.base import State
from mtmm.weighting.gramian import GramianWeighting


class GradNorm(GramianWeighting):
    """Learned weights that bring the norms of the weighted gradients to a common scale, larger for
    tasks that learn more slowly (Chen et al. 2018, arXiv 1711.02257).

    They minimise Σ |w_i ‖g_i‖ − Ḡ r_i^alpha|, with Ḡ the mean of w_i ‖g_i‖, held constant as the
    paper has it, and r_i the task's L_i / L_i(0) over their mean; L_i(0) is the loss of the first
    step. Learned are logits: w = T softmax(logits) sums to the number of tasks and stays above 0 in
    every step, which the paper restores after each. In the last shared module by default, and heads
    are weighted, both as in the paper. `learning_rate` is that of the logits, which start at 0.
    """

    space = "last"
    heads = "weighted"
    learned = ("logits",)
    mean = False

    def __init__(self, *, alpha: NotNegative = 1.5, learning_rate: Rate = 0.025) -> None:
        self.alpha = alpha
        self.learning_rate = learning_rate

    def init(self, num_tasks: int, **where: Any) -> dict[str, Tensor]:
        """`logits` `[T]`, and `initial` `[T]`: the first losses, NaN before them."""
        state = super().init(num_tasks, **where)
        zeros = torch.zeros(num_tasks, device=where["device"], dtype=where["dtype"])
        return {**state, "logits": zeros, "initial": torch.full_like(zeros, torch.nan)}

    def solve(
        self, state: State, losses: Tensor, gramian: Tensor, active: Tensor
    ) -> tuple[Tensor, Tensor, State]:
        """See `GramianWeighting.solve`."""
        initial = state["initial"]
        new = initial.isnan() & active  # a task's first batch may be without labels of it
        initial = torch.where(new, losses.to(initial.dtype), initial)
        weights = _weights(state["logits"].detach().double(), active)
        return weights, torch.ones_like(active[0]), {**state, "initial": initial}

    def parameter_gradients(  # type: ignore[override]
        self, state: State, losses: Tensor, gramian: Tensor
    ) -> dict[str, Tensor]:
        """∂/∂w_i = sign(w_i ‖g_i‖ − Ḡ r_i^alpha) ‖g_i‖, taken through the softmax."""
        norms = gramian.diagonal().clamp(min=0).sqrt()
        active = (norms > 0) & (state["initial"] > 0) & (losses > 0)
        count = active.sum().clamp(min=1)
        weights = _weights(state["logits"].detach(), active)
        lengths = weights * norms
        rates = torch.where(active, losses / torch.where(active, state["initial"], 1.0), 0.0)
        total = rates.sum()
        rates = rates * count / torch.where(total > 0, total, 1.0)
        goal = lengths.sum() / count * rates**self.alpha
        slope = torch.where(active, torch.sign(lengths - goal) * norms, 0.0)
        gradient = weights * (slope - (weights * slope).sum() / count)
        return {"logits": gradient.to(state["logits"].dtype)}


def _weights(logits: Tensor, active: Tensor) -> Tensor:
    """The weights `[T]`: those of active tasks sum to their number."""
    some = active.any()
    shares = torch.softmax(torch.where(active | ~some, logits, -torch.inf), 0)
    return torch.where(active, shares * active.sum(), 0.0)
