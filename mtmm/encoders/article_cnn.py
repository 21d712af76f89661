"""The image network of the article this project grew from, repaired."""

from __future__ import annotations

from typing import Annotated

from torch import nn

from mtmm.encoders.base import Encoder, Plain
from mtmm.settings import Range
from mtmm.spec import Modality


class ArticleCNN(Encoder):
    """One convolution, averaged over its map; the feature is `channels` wide.

    The article prints `Conv2d 3→64, ReLU, MaxPool` for images and `LSTM(100, 64, 2 layers)` for
    text, concatenates what the two return and feeds `Linear(64 + 64 → 128)`. As printed that
    fails: a 4-D map and the tuple an LSTM returns cannot be concatenated. Here the map is averaged
    over its positions, and the text is the top layer's hidden state after the last word, which is
    `{name: lstm, embedding: 100, hidden: 64, layers: 2}`; the fusion is `concat` at `width: 128`.
    """

    kinds = frozenset({"audio", "image"})
    map_stage = "conv"

    def __init__(
        self, modality: Modality, width: int, *, channels: Annotated[int, Range(low=1)] = 64
    ) -> None:
        in_channels, height, rows = modality.shape
        convolution = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
        )
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        super().__init__(
            {
                "conv": Plain(convolution, (channels, height // 2, rows // 2)),
                "pool": Plain(pool, (channels,)),
            }
        )
