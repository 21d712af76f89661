"""Smooth Tchebycheff scalarisation."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from mtmm.settings import AboveZero, Range
from mtmm.weighting.base import State, Weighting


class STCH(Weighting):
    """μ log Σ exp(log(L_i / n_i) / μ), a smooth maximum of the logarithms of losses (Lin et al.
    2024, arXiv 2402.19078).

    In the form of its authors for multi-task learning: the first `warmup_epochs` minimise Σ log L,
    and n_i is the mean loss of the last of them. Its w_i = softmax(log(L / n) / μ)_i / L_i; that
    code multiplies them by T, which `step` does not. A task whose loss is not above 0, as in a
    batch without a label of it, is left out.
    """

    def __init__(
        self, *, mu: AboveZero = 1.0, warmup_epochs: Annotated[int, Range(low=1)] = 4
    ) -> None:
        self.mu = mu
        self.warmup_epochs = warmup_epochs

    def init(
        self,
        num_tasks: int,
        *,
        num_params: int | None = None,
        device: torch.device,
        dtype: torch.dtype,
    ) -> dict[str, Tensor]:
        """`nadir` `[T]`: n, and `epochs`: how many have ended."""
        nadir = torch.ones(num_tasks, device=device, dtype=dtype)
        return {"nadir": nadir, "epochs": torch.zeros((), dtype=torch.int64, device=device)}

    def step(self, state: State, losses: Tensor) -> tuple[Tensor, State]:
        """See `Weighting.step`."""
        active = losses > 0
        safe = torch.where(active, losses, 1.0)
        nadir = torch.where(state["nadir"] > 0, state["nadir"], 1.0)
        logits = torch.where(active, (safe / nadir).log() / self.mu, -torch.inf)
        # Without an active task every logit is −∞ and softmax has no answer; nor is one used.
        shares = torch.softmax(torch.where(active.any(), logits, 0.0), 0)
        shares = torch.where(state["epochs"] < self.warmup_epochs, 1.0, shares)
        return torch.where(active, shares / safe, 0.0), state

    def epoch_end(self, state: State, losses: Tensor) -> State:
        """See `Weighting.epoch_end`."""
        epochs = state["epochs"] + 1
        last = epochs == self.warmup_epochs
        nadir = torch.where(last, losses.to(state["nadir"].dtype), state["nadir"])
        return {**state, "nadir": nadir, "epochs": epochs}
