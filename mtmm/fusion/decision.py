"""What fusions of decisions share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from mtmm.fusion.base import Fusion


class DecisionFusion(Fusion):
    """Logits `[B, K]` of a head on each modality in, log-probabilities up to a constant out.

    For classification only; every task has one of its own, and `dims` are all K = `out_dim`. A
    sample without any modality gets the same logit for every class. Where `reads_features` is true
    the constructor takes `feature_dims` and `forward` takes `gate_features`, besides: what the
    heads read.
    """

    level = "decision"
    reads_features: ClassVar[bool] = False

    def __init__(self, dims: Mapping[str, int], out_dim: int) -> None:
        super().__init__(dims, out_dim)
        if any(dim != out_dim for dim in dims.values()):
            told = ", ".join(f"{name}: {dim}" for name, dim in dims.items())
            raise ValueError(f"`dims` must all be the number of classes, {out_dim}; found {told}")

    def decisions(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        """Logits `[M, B, K]` in 32 bits, 0 where absent, and who votes, boolean `[M, B, 1]`.

        Where no modality is there all vote: their logits, all 0, say nothing.
        """
        logits = torch.stack(self.masked(features, present)).float()
        if present is None:
            return logits, torch.ones_like(logits[:, :, :1], dtype=torch.bool)
        there = torch.stack([present[name] for name in self.dims])
        return logits, (there | ~there.any(0))[:, :, None]

    @classmethod
    def parameter_count(cls, dims: Mapping[str, int], out_dim: int) -> int:
        """None: 0."""
        return 0
