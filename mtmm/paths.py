"""A path: from the inputs to a task's feature, by encoders and then a fusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtmm.encoders.base import Encoder
from mtmm.fusion.base import Fusion
from mtmm.spec import Features, Modality


class Path(nn.Module):
    """One encoder per modality and the fusion of what they make."""

    def __init__(
        self, modalities: Sequence[Modality], encoders: Sequence[Encoder], fusion: Fusion
    ) -> None:
        super().__init__()
        self.modalities = tuple(modalities)
        self.encoders = nn.ModuleList(encoders)
        self.fusion = fusion

    def forward(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Features:
        """Shapes: inputs `[B, *shape]`, present boolean `[B]`; the feature vector `[B, width]`."""
        vectors = {}
        for modality, encoder in zip(self.modalities, self.encoders, strict=True):
            x, mask = visible(inputs[modality.name], modality, present[modality.name])
            vectors[modality.name] = encoder(x, mask).vector
        return Features(vector=self.fusion(vectors, present))


def visible(x: Tensor, modality: Modality, present: Tensor) -> tuple[Tensor, Tensor | None]:
    """The input with absent samples emptied, and the token mask of a text (`[B, S]`).

    Absent inputs become zeros, absent texts padding, before any encoder: what they held, garbage
    or NaN, can never matter.
    """
    there = present.reshape(-1, *([1] * (x.dim() - 1)))
    if modality.kind != "text":
        return torch.where(there, x, 0), None  # an int: tokens of one's own kind stay whole
    x = torch.where(there, x, modality.pad_id)
    return x, x != modality.pad_id
