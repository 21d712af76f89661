"""A head on each modality, and a fusion of what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtmm.fusion.decision import DecisionFusion
from mtmm.heads.base import Head
from mtmm.spec import Features


class DecisionHead(nn.Module):
    """The task's heads on single modalities, one each, fused by a decision-level fusion.

    It reads features side by side, as `mtmm.paths.SideBySide` makes them of modalities `dims` wide.
    """

    def __init__(
        self, dims: Mapping[str, int], heads: Sequence[Head], fusion: DecisionFusion
    ) -> None:
        super().__init__()
        self.dims = dict(dims)
        self.heads = nn.ModuleList(heads)
        self.fusion = fusion

    def forward(self, features: Features) -> Tensor:
        """Log-probabilities up to a constant, `[B, K]`."""
        parts = torch.split(features.vector, list(self.dims.values()), dim=1)
        vectors = dict(zip(self.dims, parts, strict=True))
        logits = {
            name: head(Features(vector=vectors[name]))
            for name, head in zip(self.dims, self.heads, strict=True)
        }
        further = {"gate_features": vectors} if self.fusion.reads_features else {}
        fused: Tensor = self.fusion(logits, features.present, **further)
        return fused
