"""Multi-objective gradient correction."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mtmm.gradients import gramian_of
from mtmm.settings import AboveZero, NotNegative
from mtmm.solvers.simplex import projection
from mtmm.weighting.base import State
from mtmm.weighting.jacobian import JacobianWeighting


class MoCo(JacobianWeighting):
    """MGDA on gradients that are tracked over steps, with weights that take one projected step each
    time (Fernando et al. 2023, arXiv 2210.12624).

    In step k: Y ← Y − (beta / k^beta_sigma)(Y − H) for the rows h_i = L_i g_i / ‖g_i‖ of the
    authors' code, λ ← Π(λ − (gamma / k^gamma_sigma)(YYᵀ + rho I)λ) and Σ λ_i y_i. Π is the
    projection onto the simplex; published code has a softmax in its place. It keeps T · P numbers.
    A task without a label in the batch keeps its row.
    """

    def __init__(
        self,
        *,
        beta: AboveZero = 0.5,
        beta_sigma: NotNegative = 0.5,
        gamma: AboveZero = 0.1,
        gamma_sigma: NotNegative = 0.5,
        rho: NotNegative = 0.0,
    ) -> None:
        self.beta, self.beta_sigma = beta, beta_sigma
        self.gamma, self.gamma_sigma = gamma, gamma_sigma
        self.rho = rho

    def init(self, num_tasks: int, **where: Any) -> dict[str, Tensor]:
        """`tracked` `[T, P]`: Y, `shares` `[T]`: λ, and the number of steps so far, `steps`."""
        size, device, dtype = where["num_params"], where["device"], where["dtype"]
        return {
            **super().init(num_tasks, **where),
            "tracked": torch.zeros(num_tasks, size, device=device, dtype=dtype),
            "shares": torch.full((num_tasks,), 1 / num_tasks, device=device, dtype=dtype),
            "steps": torch.zeros((), device=device, dtype=dtype),
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
        steps = state["steps"] + 1
        norms = torch.linalg.vector_norm(jacobian, dim=1)
        rows = jacobian * (losses / torch.where(active, norms, 1.0))[:, None]
        moved = state["tracked"] + self.beta / steps**self.beta_sigma * (rows - state["tracked"])
        tracked = torch.where(active[:, None], moved, state["tracked"])
        shares = state["shares"]
        slope = gramian_of(tracked) @ shares + self.rho * shares
        shares = projection(shares - self.gamma / steps**self.gamma_sigma * slope)
        after = {**state, "tracked": tracked, "shares": shares, "steps": steps}
        return shares @ tracked, torch.ones_like(active[0]), after
