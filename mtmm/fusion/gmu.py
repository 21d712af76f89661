"""Gated multimodal unit."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mtmm.fusion.base import Fusion, linear

# E[σ(z)²] and E[tanh(z)²] for z ~ N(0, 1).
_GATE_POWER, _VALUE_POWER = 0.2933, 0.3943


class GMU(Fusion):
    """Σ z_m ⊙ tanh(W_m x_m) with gates z_m = σ(Z_m [x1; …; xM]), without biases (Arevalo et al.
    2017, arXiv 1702.01992).

    Two modalities share one gate, z and 1 − z, as in the paper; more have one each. The result is
    scaled by a constant that gives it unit variance at initialisation: tanh and gates shrink it.
    An absent modality adds nothing, and is 0 to the gates.
    """

    def __init__(self, dims: Mapping[str, int], out_dim: int) -> None:
        super().__init__(dims, out_dim)
        total = sum(dims.values())
        gates = 1 if len(dims) == 2 else len(dims)
        self.values = nn.ModuleList(_plain(dim, out_dim) for dim in self.dims.values())
        self.gates = _plain(total, gates * out_dim)
        self.scale = 1 / math.sqrt(len(dims) * _GATE_POWER * _VALUE_POWER)

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """See `Fusion.forward`."""
        inputs = self.masked(features, present)
        values = torch.stack([torch.tanh(v(x)) for v, x in zip(self.values, inputs, strict=True)])
        gates = torch.sigmoid(self.gates(torch.cat(inputs, dim=1)))
        if len(self.dims) == 2:
            return self.scale * (gates * values[0] + (1 - gates) * values[1])
        each = torch.stack(torch.split(gates, self.out_dim, dim=1))
        return self.scale * (each * values).sum(0)

    @classmethod
    def parameter_count(cls, dims: Mapping[str, int], out_dim: int) -> int:
        """O ΣD_m + o ΣD_m for two modalities, o ΣD_m + M o ΣD_m for more."""
        gates = 1 if len(dims) == 2 else len(dims)
        return (1 + gates) * out_dim * sum(dims.values())


def _plain(in_dim: int, out_dim: int) -> nn.Linear:
    layer = linear(in_dim, out_dim)
    layer.register_parameter("bias", None)
    return layer
