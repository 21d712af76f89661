"""What fusions of exactly two modalities share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from mtmm.fusion.base import Fusion, linear


class PairFusion(Fusion):
    """Two modalities, in the order of their names."""

    max_modalities = 2

    @classmethod
    def check(cls, modalities: Sequence[str], settings: Mapping[str, Any]) -> None:
        """Two modalities."""
        super().check(modalities, settings)
        if len(modalities) != 2:
            raise ValueError(f"fuses two modalities; found {len(modalities)}")


class ConditionedFusion(PairFusion):
    """One of two modalities, `condition`, acts on the other; by default the first by name.

    The other is projected where its width is not `out_dim`.
    """

    def __init__(
        self, dims: Mapping[str, int], out_dim: int, *, condition: str | None = None
    ) -> None:
        super().__init__(dims, out_dim)
        self.check(list(dims), {"condition": condition})
        names = list(self.dims)
        self.index = 0 if condition is None else names.index(condition)
        self.condition_dim = self.dims[names[self.index]]
        other = self.dims[names[1 - self.index]]
        self.value = nn.Identity() if other == out_dim else linear(other, out_dim)

    @classmethod
    def check(cls, modalities: Sequence[str], settings: Mapping[str, Any]) -> None:
        """Two modalities, one of which is the condition."""
        super().check(modalities, settings)
        condition = settings.get("condition")
        if condition is not None and condition not in modalities:
            there = ", ".join(modalities)
            raise ValueError(f"`condition` must be one of {there}; found '{condition}'")

    def parts(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        """The conditioning feature and the other one, projected `[B, out_dim]`."""
        inputs = self.masked(features, present)
        return inputs[self.index], self.value(inputs[1 - self.index])

    @classmethod
    def parameter_count(
        cls, dims: Mapping[str, int], out_dim: int, *, condition: str | None = None
    ) -> int:
        """2 (D_c o + o), and D o + o where the other's width D is not o."""
        names = sorted(dims)
        index = 0 if condition is None else names.index(condition)
        other = dims[names[1 - index]]
        value = 0 if other == out_dim else other * out_dim + out_dim
        return 2 * (dims[names[index]] * out_dim + out_dim) + value
