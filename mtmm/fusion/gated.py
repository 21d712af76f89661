"""One modality gates the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mtmm.fusion.base import Fusion, linear
from mtmm.settings import ModalityName

# E[σ(z)²] for z ~ N(0, 1): what the gate leaves of the variance of what it multiplies.
_GATE_POWER = 0.2933


class Gated(Fusion):
    """σ(U x_gate + a) ⊙ (V x_other + b) (Kiela et al. 2018, arXiv 1802.02892); two modalities.

    `gate` names the modality that gates, by default the first by name: the definition is
    asymmetric, and which side gates is a choice to sweep. Where the gating modality is absent the
    gate is σ(a); where the other is absent only σ(U x_gate + a) ⊙ b is left.
    """

    max_modalities = 2

    def __init__(
        self, dims: Mapping[str, int], out_dim: int, *, gate: ModalityName | None = None
    ) -> None:
        super().__init__(dims, out_dim)
        self.check(list(dims), {"gate": gate})
        names = list(self.dims)
        self.gate_index = 0 if gate is None else names.index(gate)
        self.gate = linear(self.dims[names[self.gate_index]], out_dim)
        other = self.dims[names[1 - self.gate_index]]
        self.value = linear(other, out_dim, variance=1 / _GATE_POWER)

    @classmethod
    def check(cls, modalities: Sequence[str], settings: Mapping[str, Any]) -> None:
        """Two modalities, one of which is the gate."""
        super().check(modalities, settings)
        if len(modalities) != 2:
            raise ValueError(f"fuses two modalities; found {len(modalities)}")
        gate = settings.get("gate")
        if gate is not None and gate not in modalities:
            raise ValueError(f"`gate` must be one of {', '.join(modalities)}; found '{gate}'")

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See `Fusion.forward`."""
        inputs = self.masked(features, present)
        gated: Tensor = torch.sigmoid(self.gate(inputs[self.gate_index])) * self.value(
            inputs[1 - self.gate_index]
        )
        return gated

    @classmethod
    def parameter_count(
        cls, dims: Mapping[str, int], out_dim: int, *, gate: str | None = None
    ) -> int:
        """Σ (D_m o + o)."""
        return sum(dim * out_dim + out_dim for dim in dims.values())
