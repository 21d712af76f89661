"""Multiplicative interaction, diagonal form."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mtmm.fusion.base import linear
from mtmm.fusion.pair import ConditionedFusion
from mtmm.settings import ModalityName


class DiagonalMI(ConditionedFusion):
    """(W x_c + v) ⊙ x + U x_c + b (Jayakumar et al. 2020, "Multiplicative Interactions and Where to
    Find Them"); two modalities.

    `condition` names x_c, by default the first by name. The same function class as `film`, without
    its 1. Where x is absent U x_c + b is left (and the bias of its projection), where x_c is absent
    v ⊙ x + b.
    """

    def __init__(
        self, dims: Mapping[str, int], out_dim: int, *, condition: ModalityName | None = None
    ) -> None:
        super().__init__(dims, out_dim, condition=condition)
        self.scaling = linear(self.condition_dim, out_dim, variance=0.5)
        self.shift = linear(self.condition_dim, out_dim, variance=0.5)

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See `Fusion.forward`."""
        condition, value = self.parts(features, present)
        fused: Tensor = self.scaling(condition) * value + self.shift(condition)
        return fused
