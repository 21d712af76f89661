"""No encoder: a vector as it is."""

from __future__ import annotations

from torch import nn

from mtmm.encoders.base import Encoder, Plain
from mtmm.spec import Modality


class Identity(Encoder):
    """The feature is the vector itself: what a vector without an entry under `encoders` gets."""

    kinds = frozenset({"vector"})

    def __init__(self, modality: Modality, width: int) -> None:
        super().__init__({"identity": Plain(nn.Identity(), modality.shape)})
