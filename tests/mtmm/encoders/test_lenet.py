from __future__ import annotations

import pytest

from mtmm.encoders.lenet import LeNet
from mtmm.spec import Modality


@pytest.mark.parametrize(
    ("shape", "width", "channels", "positions"),
    [((1, 28, 28), 64, 16, 7 * 7), ((3, 13, 10), 5, 2, 3 * 2)],
)
def test_parameters_by_hand(
    shape: tuple[int, ...], width: int, channels: int, positions: int
) -> None:
    modality = Modality(name="image", kind="image", shape=shape)
    encoder = LeNet(modality, width, channels=channels)
    first = 25 * shape[0] * channels + channels
    second = 25 * channels * 2 * channels + 2 * channels
    fc = 2 * channels * positions * width + width
    assert sum(p.numel() for p in encoder.parameters()) == first + second + fc
    assert encoder.dim == width
