"""Dynamic weight average."""

from __future__ import annotations

import torch
from torch import Tensor

from mtmm.settings import AboveZero
from mtmm.weighting.base import State, Weighting


class DWA(Weighting):
    """T · softmax(r / temperature) with r_i the ratio of the last two epochs' mean losses (Liu et
    al. 2019, arXiv 1803.10704).

    Weights are 1 in the first two epochs. Means are over all steps of an epoch; a task without a
    loss in one of the two counts as standing still, r = 1.
    """

    def __init__(self, *, temperature: AboveZero = 2.0) -> None:
        self.temperature = temperature

    def init(
        self,
        num_tasks: int,
        *,
        num_params: int | None = None,
        device: torch.device,
        dtype: torch.dtype,
    ) -> dict[str, Tensor]:
        """`means` `[2, T]`: losses of the last epoch and the one before, NaN without one."""
        return {"means": torch.full((2, num_tasks), torch.nan, device=device, dtype=dtype)}

    def step(self, state: State, losses: Tensor) -> tuple[Tensor, State]:
        """See `Weighting.step`."""
        last, before = state["means"].unbind()
        ratios = torch.where((last > 0) & (before > 0), last / before, 1.0)
        weights = len(losses) * torch.softmax(ratios / self.temperature, 0)
        return weights.to(losses.dtype), state

    def epoch_end(self, state: State, losses: Tensor) -> State:
        """See `Weighting.epoch_end`."""
        means = torch.stack([losses.to(state["means"].dtype), state["means"][0]])
        return {**state, "means": means}
