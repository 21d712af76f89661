"""Excess risks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mtmm.settings import Rate
from mtmm.weighting.base import State
from mtmm.weighting.jacobian import JacobianWeighting


class ExcessMTL(JacobianWeighting):
    """Weights that grow with each task's estimated distance to its own optimum (He et al. 2024,
    ICML, "Robust Multi-Task Learning with Excess Risks").

    E_i = g_iᵀ diag(Σ g_i²)^{−½} g_i, the sum over steps, relative to that of the task's first step;
    w ∝ w · exp(step_size · E), Σ w = 1. The paper trains three epochs with equal weights first, its
    code does not, nor does this. It keeps T · P numbers. A task without a label in the batch is
    left out, and its weight waits.
    """

    def __init__(self, *, step_size: Rate = 1e-2) -> None:
        self.step_size = step_size

    def init(self, num_tasks: int, **where: Any) -> dict[str, Tensor]:
        """`squares` `[T, P]`, `shares` `[T]`: w, and `initial` `[T]`: the first E, 0 before it."""
        size, device, dtype = where["num_params"], where["device"], where["dtype"]
        return {
            **super().init(num_tasks, **where),
            "squares": torch.zeros(num_tasks, size, device=device, dtype=dtype),
            "shares": torch.full((num_tasks,), 1 / num_tasks, device=device, dtype=dtype),
            "initial": torch.zeros(num_tasks, device=device, dtype=dtype),
        }

    def combine(
        self,
        state: State,
        losses: Tensor,
        jacobian: Tensor,
        features: Tensor | None,
        active: Tensor,
    ) -> tuple[Tensor, Tensor, State]:
        """See `JacobianWeighting.combine`."""
        squares = state["squares"] + jacobian.square()
        # Where the sum is 0 so is the gradient.
        excess = (jacobian.square() / torch.where(squares > 0, squares, 1.0).sqrt()).sum(1)
        initial = torch.where((state["initial"] == 0) & active, excess, state["initial"])
        relative = torch.where(active, excess / torch.where(active, initial, 1.0), 0.0)
        logits = state["shares"].log() + self.step_size * relative
        total = (state["shares"] * active).sum()
        moved = total * torch.softmax(torch.where(active, logits, -torch.inf), 0)
        shares = torch.where(active, moved, state["shares"])
        after = {**state, "squares": squares, "shares": shares, "initial": initial}
        return shares @ jacobian, torch.ones_like(active[0]), after
