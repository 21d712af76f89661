"""LeNet: two convolutions and a fully connected layer."""

from __future__ import annotations

from typing import Annotated

from torch import nn

from mtmm.encoders.base import Encoder, Plain
from mtmm.settings import Range
from mtmm.spec import Modality


class LeNet(Encoder):
    """LeCun et al. 1998 in today's dress: [conv 5×5, ReLU, max-pool] twice, linear, ReLU.

    The second convolution has twice the `channels` of the first. The feature has the model's
    `width`.
    """

    kinds = frozenset({"audio", "image"})
    map_stage = "conv2"

    def __init__(
        self, modality: Modality, width: int, *, channels: Annotated[int, Range(low=1)] = 16
    ) -> None:
        in_channels, height, rows = modality.shape
        map2 = (2 * channels, height // 4, rows // 4)
        super().__init__(
            {
                "conv1": Plain(
                    _convolution(in_channels, channels), (channels, height // 2, rows // 2)
                ),
                "conv2": Plain(_convolution(channels, 2 * channels), map2),
                "fc": Plain(
                    nn.Sequential(
                        nn.Flatten(), nn.Linear(map2[0] * map2[1] * map2[2], width), nn.ReLU()
                    ),
                    (width,),
                ),
            }
        )


def _convolution(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)
    )
