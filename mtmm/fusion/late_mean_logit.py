"""The mean of the modalities' logits."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mtmm.fusion.decision import DecisionFusion


class LateMeanLogit(DecisionFusion):
    """Mean of the present modalities' logits: the geometric mean of their probabilities."""

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See `DecisionFusion`."""
        logits, votes = self.decisions(features, present)
        return (logits * votes).sum(0) / votes.sum(0)
