"""A path: from the inputs to a task's feature, by encoders and then a fusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtmm.encoders.base import Encoder
from mtmm.fusion.base import Fusion
from mtmm.spec import Features, Modality


class SideBySide(nn.Module):
    """In place of a fusion where decisions are fused: each modality's feature in its own columns.

    Those of an absent modality are 0; heads take theirs out again.
    """

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Shapes: features `[B, D_m]` to `[B, ΣD_m]`, in the order of `features`."""
        there = (torch.where(present[name][:, None], x, 0.0) for name, x in features.items())
        return torch.cat(list(there), dim=1)


class Path(nn.Module):
    """One encoder per modality and the fusion of what they make."""

    def __init__(
        self,
        modalities: Sequence[Modality],
        encoders: Sequence[Encoder],
        fusion: Fusion | SideBySide,
    ) -> None:
        super().__init__()
        self.modalities = tuple(modalities)
        self.encoders = nn.ModuleList(encoders)
        self.fusion = fusion

    def forward(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Features:
        """Shapes: inputs `[B, *shape]`, present boolean `[B]`; the feature vector `[B, width]`.

        Where decisions are fused it is as wide as all encoders' together.
        """
        features = {}
        for modality, encoder in zip(self.modalities, self.encoders, strict=True):
            x, mask = visible(inputs[modality.name], modality, present[modality.name])
            features[modality.name] = encoder(x, mask)
        return Features(vector=self._fused(features, present), present=present)

    def _fused(self, features: Mapping[str, Features], present: Mapping[str, Tensor]) -> Tensor:
        if isinstance(self.fusion, Fusion) and self.fusion.level == "token":
            tokens = {name: tokens_of(made) for name, made in features.items()}
            masks = {name: made.token_mask for name, made in features.items()}
            fused: Tensor = self.fusion(tokens, present, masks)
            return fused
        fused = self.fusion({name: made.vector for name, made in features.items()}, present)
        return fused


def tokens_of(features: Features) -> Tensor:
    """The tokens `[B, S, E]`; the vector as the only one where there are none."""
    return features.vector[:, None] if features.tokens is None else features.tokens


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
