"""Impartial learning by losses and gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mtmm.settings import Rate
from mtmm.weighting.base import State
from mtmm.weighting.gramian import GramianWeighting
from mtmm.weighting.imtl_g import impartial


class IMTL(GramianWeighting):
    """IMTL-G on losses scaled by IMTL-L: e^{s_i} L_i − s_i with learned s (Liu et al. 2021,
    "Towards Impartial Multi-task Learning").

    The weight of a task is α_i e^{s_i}, with α those of IMTL-G for the gradients of the scaled
    losses. `learning_rate` is that of s, which starts at 0.
    """

    learned = ("log_scale",)

    def __init__(self, *, learning_rate: Rate = 0.025) -> None:
        self.learning_rate = learning_rate

    def init(self, num_tasks: int, **where: Any) -> dict[str, Tensor]:
        """`log_scale` `[T]`."""
        state = super().init(num_tasks, **where)
        device, dtype = where["device"], where["dtype"]
        return {**state, "log_scale": torch.zeros(num_tasks, device=device, dtype=dtype)}

    def solve(
        self, state: State, losses: Tensor, gramian: Tensor, active: Tensor
    ) -> tuple[Tensor, Tensor, State]:
        """See `GramianWeighting.solve`."""
        scale = state["log_scale"].detach().double().exp()
        weights, solved = impartial(gramian * scale[:, None] * scale, active)
        return weights * scale, solved, state

    def parameter_gradients(  # type: ignore[override]
        self, state: State, losses: Tensor, gramian: Tensor
    ) -> dict[str, Tensor]:
        """∂/∂s = e^s L − 1; 0 for a task whose gradient is 0, as in a batch without its labels."""
        gradient = state["log_scale"].detach().exp() * losses - 1
        return {"log_scale": torch.where(gramian.diagonal() > 0, gradient, 0.0)}
