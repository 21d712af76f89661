"""Homoscedastic uncertainty."""

from __future__ import annotations

import torch
from torch import Tensor

from mtmm.settings import Rate
from mtmm.weighting.base import State, Weighting


class Uncertainty(Weighting):
    """Σ e^{−s_i} L_i + s_i / 2 with learned s_i = log σ_i² (Kendall et al. 2018, arXiv 1705.07115).

    This is the paper's form for cross-entropy; most code uses the one for squared errors, with
    ½ e^{−s} L, for every loss. `initial` is s at the start, `learning_rate` that of s.
    """

    learned = ("log_variance",)

    def __init__(
        self,
        *,
        initial: float = 0.0,
        learning_rate: Rate = 0.025,
    ) -> None:
        self.initial = initial
        self.learning_rate = learning_rate

    def init(
        self,
        num_tasks: int,
        *,
        num_params: int | None = None,
        device: torch.device,
        dtype: torch.dtype,
    ) -> dict[str, Tensor]:
        """`log_variance` `[T]`."""
        return {"log_variance": torch.full((num_tasks,), self.initial, device=device, dtype=dtype)}

    def step(self, state: State, losses: Tensor) -> tuple[Tensor, State]:
        """e^{−s}."""
        return torch.exp(-state["log_variance"]), state

    def parameter_gradients(self, state: State, losses: Tensor) -> dict[str, Tensor]:
        """∂/∂s = ½ − e^{−s} L."""
        return {"log_variance": 0.5 - torch.exp(-state["log_variance"]) * losses}
