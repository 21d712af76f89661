"""A small vision transformer."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from mtmm.encoders.attentive import transformer_stages
from mtmm.encoders.base import Encoder, Stage, State
from mtmm.settings import Range
from mtmm.spec import Modality


class ViTSmall(Encoder):
    """Patches, learned positions, pre-norm layers, the normalised mean of the patches (Dosovitskiy
    et al. 2021, arXiv 2010.11929; without a class token, Zhai et al. 2022, arXiv 2106.04560).

    `patch` is the side of a patch in pixels and must divide height and width. `dim` is the width of
    patches and of the feature, the model's `width` unless said; `heads` must divide it.
    """

    kinds = frozenset({"audio", "image"})
    token_stage = "tokens"

    def __init__(
        self,
        modality: Modality,
        width: int,
        *,
        patch: Annotated[int, Range(low=1)] = 4,
        dim: Annotated[int, Range(low=1)] | None = None,
        layers: Annotated[int, Range(low=1, high=64)] = 4,
        heads: Annotated[int, Range(low=1)] = 4,
    ) -> None:
        super().__init__(transformer_stages(_Patches(modality, patch, dim or width), layers, heads))
        self.token_stage = f"layer{layers}"


class _Patches(Stage):
    """Images `[B, C, H, W]` to patches `[B, S, dim]`, row by row."""

    def __init__(self, modality: Modality, patch: int, dim: int) -> None:
        super().__init__()
        channels, height, width = modality.shape
        if height % patch or width % patch:
            size = f"height {height} and width {width}"
            raise ValueError(f"`patch` must divide {size} of '{modality.name}'; found {patch}")
        self.projection = nn.Conv2d(channels, dim, patch, stride=patch)
        self.out_shape = ((height // patch) * (width // patch), dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> State:
        return State(self.projection(x).flatten(2).transpose(1, 2), mask)
