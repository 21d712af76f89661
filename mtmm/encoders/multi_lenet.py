"""The LeNet of MultiMNIST: two convolutions, a mask over channels and a fully connected layer."""

from __future__ import annotations

from torch import nn

from mtmm.encoders.base import Encoder, Plain
from mtmm.masking import ChannelMask
from mtmm.spec import Modality


class MultiLeNet(Encoder):
    """Sener & Koltun 2018 (arXiv 1810.04650) as published code has it: for their benchmark.

    Convolutions 5×5 of 10 and 20 channels without padding, each pooled by 2, and a linear layer,
    with ReLU behind all three. Half of the second one's channels are masked in training, the same
    for a whole batch and without rescaling. At width 50, on 28×28 pixels, 21,330 parameters.
    """

    kinds = frozenset({"image"})
    map_stage = "conv2"

    def __init__(self, modality: Modality, width: int) -> None:
        channels, *sides = modality.shape
        small = [(side - 4) // 2 for side in sides]
        height, row = ((side - 4) // 2 for side in small)
        super().__init__(
            {
                "conv1": Plain(
                    nn.Sequential(nn.Conv2d(channels, 10, 5), nn.MaxPool2d(2), nn.ReLU()),
                    (10, *small),
                ),
                "conv2": Plain(
                    nn.Sequential(
                        nn.Conv2d(10, 20, 5), ChannelMask(0.5), nn.MaxPool2d(2), nn.ReLU()
                    ),
                    (20, height, row),
                ),
                "fc": Plain(
                    nn.Sequential(nn.Flatten(), nn.Linear(20 * height * row, width), nn.ReLU()),
                    (width,),
                ),
            }
        )
