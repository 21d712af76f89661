"""Dual balancing."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor

from mtmm.settings import NotNegative, Range
from mtmm.weighting.base import State
from mtmm.weighting.jacobian import JacobianWeighting


class DBMTL(JacobianWeighting):
    """Gradients of log-losses, averaged over steps and brought to the length of the longest (Lin et
    al. 2023, arXiv 2308.12029).

    ĝ ← (β / k^σ) ĝ + (1 − β / k^σ) g in step k, with `beta` β and `beta_sigma` σ; then
    max ‖ĝ_i‖ · Σ ĝ_i / ‖ĝ_i‖. The average of a task stands still in a batch without a label of it,
    and is not used. It keeps T · P numbers. Heads get the gradients of the losses themselves.
    """

    mean = False

    def __init__(
        self,
        *,
        beta: Annotated[float, Range(low=0, below=1)] = 0.9,
        beta_sigma: NotNegative = 0.0,
    ) -> None:
        self.beta = beta
        self.beta_sigma = beta_sigma

    def init(self, num_tasks: int, **where: Any) -> dict[str, Tensor]:
        """`average` `[T, P]` and the number of steps so far, `steps`."""
        size, device, dtype = where["num_params"], where["device"], where["dtype"]
        return {
            **super().init(num_tasks, **where),
            "average": torch.zeros(num_tasks, size, device=device, dtype=dtype),
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
        """See `JacobianWeighting.combine`; there is none where a loss is not above 0."""
        steps = state["steps"] + 1
        share = self.beta / steps**self.beta_sigma
        known = active & (losses > 0)
        rows = jacobian / torch.where(known, losses, 1.0)[:, None]
        average = torch.where(
            known[:, None], share * state["average"] + (1 - share) * rows, state["average"]
        )
        norms = torch.linalg.vector_norm(average, dim=1) * known
        scale = torch.where(norms > 0, norms.amax() / torch.where(norms > 0, norms, 1.0), 0.0)
        solved = ((losses > 0) | ~active).all()
        return scale @ average, solved, {**state, "average": average, "steps": steps}
