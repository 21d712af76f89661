"""Feature-wise linear modulation."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from mtmm.fusion.base import linear
from mtmm.fusion.pair import ConditionedFusion
from mtmm.settings import ModalityName

_VARIANCE = 0.25  # of γ and of β at initialisation


class FiLM(ConditionedFusion):
    """(1 + γ(x_c)) ⊙ x + β(x_c) with γ and β linear (Perez et al. 2018, arXiv 1709.07871); two
    modalities.

    `condition` names the modality that modulates, by default the first by name. Scaled by a
    constant that gives unit variance at initialisation. Where x is absent only β is left (and the
    bias of its projection), where x_c is absent the biases of γ and β act on x.
    """

    def __init__(
        self, dims: Mapping[str, int], out_dim: int, *, condition: ModalityName | None = None
    ) -> None:
        super().__init__(dims, out_dim, condition=condition)
        self.gamma = linear(self.condition_dim, out_dim, variance=_VARIANCE)
        self.beta = linear(self.condition_dim, out_dim, variance=_VARIANCE)
        self.scale = 1 / math.sqrt(1 + 2 * _VARIANCE)

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See `Fusion.forward`."""
        condition, value = self.parts(features, present)
        modulated: Tensor = (1 + self.gamma(condition)) * value + self.beta(condition)
        return self.scale * modulated
