"""A gate that weighs each modality's logits for each sample."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mtmm.fusion.base import linear
from mtmm.fusion.decision import DecisionFusion


class Mixture(DecisionFusion):
    """Σ_m g_m logits_m with g = softmax(W [x1; …; xM] + b) over the present modalities (Jacobs et
    al. 1991, of logits instead of probabilities).

    The gate reads the modalities' features, `feature_dims` wide, absent ones as 0; without those
    it reads the logits.
    """

    reads_features = True

    def __init__(
        self,
        dims: Mapping[str, int],
        out_dim: int,
        feature_dims: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(dims, out_dim)
        self.gate = linear(sum((feature_dims or dims).values()), len(dims))

    def forward(
        self,
        features: Mapping[str, Tensor],
        present: Mapping[str, Tensor] | None = None,
        gate_features: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Shapes: features `[B, K]`, gate_features `[B, D_m]`; see `DecisionFusion`."""
        logits, votes = self.decisions(features, present)
        read = self.masked(features if gate_features is None else gate_features, present)
        scores = self.gate(torch.cat(read, dim=1)).float().T[:, :, None]
        shares = scores.masked_fill(~votes, -torch.inf).softmax(0)
        mixed: Tensor = (logits * shares).sum(0)
        return mixed

    @classmethod
    def parameter_count(
        cls,
        dims: Mapping[str, int],
        out_dim: int,
        feature_dims: Mapping[str, int] | None = None,
    ) -> int:
        """M ΣD + M, with the widths D of what the gate reads."""
        return len(dims) * sum((feature_dims or dims).values()) + len(dims)
