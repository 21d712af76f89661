"""The mean of the modalities' probabilities."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mtmm.fusion.decision import DecisionFusion


class LateMeanProb(DecisionFusion):
    """log of the mean of the present modalities' class probabilities."""

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See `DecisionFusion`."""
        logits, votes = self.decisions(features, present)
        voted = logits.log_softmax(2).masked_fill(~votes, -torch.inf)
        return voted.logsumexp(0) - votes.sum(0).log()
