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
    step. Weights sum to the number of tasks. In the last shared module by default, and heads are
    weighted, both as in the paper. `learning_rate` is that of the weights.
    """

    space = "last"
    heads = "weighted"
    learned = ("raw_weights",)
    mean = False

    def __init__(self, *, alpha: NotNegative = 1.5, learning_rate: Rate = 0.025) -> None:
        self.alpha = alpha
        self.learning_rate = learning_rate

    def init(self, num_tasks: int, **where: Any) -> dict[str, Tensor]:
        """`raw_weights` `[T]`, and `initial` `[T]`: the first losses, NaN before them."""
        state = super().init(num_tasks, **where)
        ones = torch.ones(num_tasks, device=where["device"], dtype=where["dtype"])
        return {**state, "raw_weights": ones, "initial": torch.full_like(ones, torch.nan)}

    def solve(
        self, state: State, losses: Tensor, gramian: Tensor, active: Tensor
    ) -> tuple[Tensor, Tensor, State]:
        """See `GramianWeighting.solve`."""
        initial = state["initial"]
        new = initial.isnan() & active  # a task's first batch may be without labels of it
        initial = torch.where(new, losses.to(initial.dtype), initial)
        weights = _normalised(state["raw_weights"].detach().double(), active)
        return weights, torch.ones_like(active[0]), {**state, "initial": initial}

    def parameter_gradients(  # type: ignore[override]
        self, state: State, losses: Tensor, gramian: Tensor
    ) -> dict[str, Tensor]:
        """∂/∂w_i = sign(w_i ‖g_i‖ − Ḡ r_i^alpha) ‖g_i‖; 0 for a task that is left out."""
        norms = gramian.diagonal().clamp(min=0).sqrt()
        active = (norms > 0) & (state["initial"] > 0) & (losses > 0)
        count = active.sum().clamp(min=1)
        lengths = _normalised(state["raw_weights"].detach(), active) * norms
        rates = torch.where(active, losses / torch.where(active, state["initial"], 1.0), 0.0)
        rates = rates / (rates.sum() / count)
        goal = lengths.sum() / count * rates**self.alpha
        gradient = torch.where(active, torch.sign(lengths - goal) * norms, 0.0)
        return {"raw_weights": gradient.to(state["raw_weights"].dtype)}


def _normalised(raw: Tensor, active: Tensor) -> Tensor:
    """Weights `[T]` of at least 0 that sum to the number of active tasks."""
    weights = torch.where(active, raw.clamp(min=1e-6), 0.0)
    return weights * active.sum() / torch.where(active.any(), weights.sum(), 1.0)
