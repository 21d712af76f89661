"""A learned weight for each modality's logits."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mtmm.fusion.decision import DecisionFusion


class LateLearned(DecisionFusion):
    """Σ_m a_m logits_m with a = softmax(w) over the present modalities, w learned, equal at first.

    The weights are the same for every sample; in `mixture` each sample has its own.
    """

    def __init__(self, dims: Mapping[str, int], out_dim: int) -> None:
        super().__init__(dims, out_dim)
        self.weights = nn.Parameter(torch.zeros(len(dims)))

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See `DecisionFusion`."""
        logits, votes = self.decisions(features, present)
        shares = self.weights[:, None, None].masked_fill(~votes, -torch.inf).softmax(0)
        return (logits * shares).sum(0)

    @classmethod
    def parameter_count(cls, dims: Mapping[str, int], out_dim: int) -> int:
        """One a modality: M."""
        return len(dims)
