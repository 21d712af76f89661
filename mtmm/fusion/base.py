"""A fusion: from what each modality's encoder made to one feature, or to one prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

Level = Literal["feature", "token", "decision"]


class Fusion(nn.Module):
    """`dims[modality]` wide features in, one `out_dim` wide feature out.

    The order of `dims` never matters: modalities are taken by name. `max_modalities` limits how
    many the definition allows (None: any number). `level` says what it fuses: features (here),
    tokens (`TokenFusion`) or decisions (`DecisionFusion`).
    """

    level: ClassVar[Level] = "feature"
    max_modalities: ClassVar[int | None] = None

    def __init__(self, dims: Mapping[str, int], out_dim: int) -> None:
        super().__init__()
        self.check(list(dims), {})
        self.dims = {name: dims[name] for name in sorted(dims)}
        self.out_dim = out_dim

    @classmethod
    def check(cls, modalities: Sequence[str], settings: Mapping[str, Any]) -> None:
        """Raise ValueError where the definition does not allow these modalities or settings.

        The message need not say which fusion: who calls puts its name in front.
        """
        if cls.max_modalities is not None and len(modalities) > cls.max_modalities:
            limit = f"fuses at most {cls.max_modalities} modalities"
            raise ValueError(f"{limit}; found {len(modalities)}: {', '.join(modalities)}")

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """Shapes: features `[B, D_m]`, present bool `[B]` (None: all there) to `[B, out_dim]`."""
        raise NotImplementedError

    @classmethod
    def parameter_count(
        cls, dims: Mapping[str, int], out_dim: int, *_: Any, **settings: Any
    ) -> int:
        """The number of parameters: by formula, or here by building one without memory."""
        with torch.device("meta"):
            return sum(p.numel() for p in cls(dims, out_dim, **settings).parameters())

    @classmethod
    def values_per_sample(cls, dims: Mapping[str, int], out_dim: int, **settings: Any) -> int:
        """How many numbers the largest tensor that it makes of one sample has.

        A token-level fusion is given the number of `tokens` by modality besides its settings.
        """
        return sum(dims.values()) + out_dim

    def check_batch(self, features: Mapping[str, Tensor]) -> None:
        """ValueError where modalities are of batches of different sizes."""
        sizes = {name: features[name].shape[0] for name in self.dims}
        if len(set(sizes.values())) > 1:
            told = ", ".join(f"{name}: {size}" for name, size in sizes.items())
            raise ValueError(f"all modalities must have as many samples; found {told}")

    def masked(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None
    ) -> list[Tensor]:
        """The features in the order of `self.dims`, absent ones exactly 0 whatever they hold."""
        self.check_batch(features)
        if present is None:
            return [features[name] for name in self.dims]
        return [torch.where(present[name][:, None], features[name], 0.0) for name in self.dims]


def linear(in_dim: int, out_dim: int, *, variance: float = 1.0) -> nn.Linear:
    """A linear layer whose output has this variance for inputs of mean 0 and variance 1.

    PyTorch's default gives 1/3; fusions that add or multiply such outputs would differ in scale
    at initialisation for no reason of theirs.
    """
    layer = nn.Linear(in_dim, out_dim)
    bound = math.sqrt(3 * variance / in_dim)
    nn.init.uniform_(layer.weight, -bound, bound)
    nn.init.zeros_(layer.bias)
    return layer
