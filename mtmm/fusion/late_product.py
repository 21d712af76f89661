"""The product of the modalities' probabilities."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mtmm.fusion.decision import DecisionFusion


class LateProduct(DecisionFusion):
    """Σ log p over the present modalities: a product of experts (Hinton 2002).

    It counts evidence as if modalities were independent given the class.
    """

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See `DecisionFusion`."""
        logits, votes = self.decisions(features, present)
        return (logits.log_softmax(2) * votes).sum(0)
