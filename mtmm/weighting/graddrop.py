"""Gradient sign dropout."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mtmm.weighting.base import State
from mtmm.weighting.jacobian import JacobianWeighting


class GradDrop(JacobianWeighting):
    """For each coordinate one sign is drawn, and only gradients of that sign are added up (Chen et
    al. 2020, arXiv 2010.06808).

    The positive one with probability ½ (1 + Σ g_i / Σ |g_i|). In space `z`, the default, signs are
    those of z · ∂L_i/∂z summed over the batch, as in the paper: one draw a feature, for all
    samples. For parameters they are those of the gradients.
    """

    spaces = frozenset({"theta", "z"})
    space = "z"
    mean = False

    def init(self, num_tasks: int, **where: Any) -> dict[str, Tensor]:
        """`uniform`: a number from [0, 1) for each coordinate, none as long as none is drawn."""
        empty = torch.empty(0, device=where["device"], dtype=where["dtype"])
        return {**super().init(num_tasks, **where), "uniform": empty}

    def draw(self, state: State, size: int, generator: torch.Generator | None) -> State:
        """A number for each coordinate."""
        like = state["uniform"]
        numbers = torch.rand(size, generator=generator, device=like.device, dtype=like.dtype)
        return {**state, "uniform": numbers}

    def combine(
        self,
        state: State,
        losses: Tensor,
        jacobian: Tensor,
        features: Tensor | None,
        active: Tensor,
    ) -> tuple[Tensor, Tensor, State]:
        """See `JacobianWeighting.combine`."""
        if features is None:
            signed = jacobian
        else:
            rows = jacobian.view(len(jacobian), *features.shape)
            signed = (rows * features.sign()).sum(1)
        total, size = signed.sum(0), signed.abs().sum(0)
        positive = 0.5 * (1 + total / torch.where(size > 0, size, 1.0))
        wanted = torch.where(state["uniform"] < positive, 1.0, -1.0)
        kept = signed * wanted > 0
        if features is not None:
            kept = kept[:, None].expand(-1, len(features), -1).reshape(jacobian.shape)
        return (jacobian * kept).sum(0), torch.ones_like(active[0]), state
