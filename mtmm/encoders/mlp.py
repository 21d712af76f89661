"""Fully connected layers over a vector."""

from __future__ import annotations

from typing import Annotated

from torch import nn

from mtmm.encoders.base import Encoder, Plain
from mtmm.settings import Range
from mtmm.spec import Modality


class MLP(Encoder):
    """`layers` times linear, ReLU and dropout; each is a stage.

    All layers but the last are `hidden` wide, by default as the model's `width`, which is what the
    feature has.
    """

    kinds = frozenset({"vector"})

    def __init__(
        self,
        modality: Modality,
        width: int,
        *,
        layers: Annotated[int, Range(low=1, high=64)] = 2,
        hidden: Annotated[int, Range(low=1)] | None = None,
        dropout: Annotated[float, Range(low=0, below=1)] = 0.0,
    ) -> None:
        (dim,) = modality.shape
        stages = {}
        for i in range(1, layers + 1):
            out = width if i == layers else hidden or width
            parts = [nn.Linear(dim, out), nn.ReLU()]
            stages[f"fc{i}"] = Plain(nn.Sequential(*parts, *_dropout(dropout)), (out,))
            dim = out
        super().__init__(stages)


def _dropout(share: float) -> list[nn.Module]:
    return [nn.Dropout(share)] if share else []
