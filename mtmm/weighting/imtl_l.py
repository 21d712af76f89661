"""Impartial learning by losses."""

from __future__ import annotations

import torch
from torch import Tensor

from mtmm.settings import Rate
from mtmm.weighting.base import State, Weighting


class IMTLL(Weighting):
    """Σ e^{s_i} L_i − s_i with learned s (Liu et al. 2021, "Towards Impartial Multi-task
    Learning").

    Twice the form of `uncertainty` for squared errors, at −s. `learning_rate` is that of s, which
    starts at 0. For a loss of 0, as in a batch without a label of the task, s stays.
    """

    learned = ("log_scale",)

    def __init__(self, *, learning_rate: Rate = 0.025) -> None:
        self.learning_rate = learning_rate

    def init(
        self,
        num_tasks: int,
        *,
        num_params: int | None = None,
        device: torch.device,
        dtype: torch.dtype,
    ) -> dict[str, Tensor]:
        """`log_scale` `[T]`."""
        return {"log_scale": torch.zeros(num_tasks, device=device, dtype=dtype)}

    def step(self, state: State, losses: Tensor) -> tuple[Tensor, State]:
        """e^s."""
        return torch.exp(state["log_scale"]), state

    def parameter_gradients(self, state: State, losses: Tensor) -> dict[str, Tensor]:
        """∂/∂s = e^s L − 1."""
        gradient = torch.exp(state["log_scale"]) * losses - 1
        return {"log_scale": torch.where(losses <= 0, 0.0, gradient)}
