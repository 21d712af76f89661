"""Random loss weighting."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from mtmm.weighting.base import State, Weighting


class RLW(Weighting):
    """Weights drawn anew in every step: softmax of standard normal numbers, or uniform on the
    simplex (Lin et al. 2022, arXiv 2111.10603).

    They sum to 1, as in the paper; with `sum_to: T` they sum to the number of tasks, as those of
    `equal` do.
    """

    def __init__(self, *, distribution: Literal["normal", "dirichlet"] = "normal") -> None:
        self.distribution = distribution

    def init(
        self,
        num_tasks: int,
        *,
        num_params: int | None = None,
        device: torch.device,
        dtype: torch.dtype,
    ) -> dict[str, Tensor]:
        """`drawn` `[T]`: the weights before they are normalised."""
        return {"drawn": torch.ones(num_tasks, device=device, dtype=dtype)}

    def draw(self, state: State, size: int, generator: torch.Generator | None) -> State:
        """Exponentials: of normal numbers, or their own kind, whose shares are Dirichlet(1)."""
        drawn = torch.empty_like(state["drawn"])
        if self.distribution == "normal":
            drawn = drawn.normal_(generator=generator).exp()
        else:
            drawn = drawn.exponential_(generator=generator)
        return {**state, "drawn": drawn}

    def step(self, state: State, losses: Tensor) -> tuple[Tensor, State]:
        """See `Weighting.step`."""
        return state["drawn"] / state["drawn"].sum(), state
