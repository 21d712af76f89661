from __future__ import annotations

import pytest
import torch

from mtmm.attention import Layer
from mtmm.encoders.vit_small import ViTSmall
from mtmm.spec import Modality


def _modality(height: int, width: int) -> Modality:
    return Modality(name="photo", kind="image", shape=(3, height, width))


def test_a_patch_must_divide_the_image() -> None:
    text = "`patch` must divide height 10 and width 8 of 'photo'; found 4"
    with pytest.raises(ValueError, match=text):
        ViTSmall(_modality(10, 8), 8)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="`heads` must divide the width of tokens, 6; found 4"):
        ViTSmall(_modality(8, 8), 6)


def test_the_number_of_parameters() -> None:
    encoder = ViTSmall(_modality(8, 12), 16, layers=3)
    patches = 3 * 4 * 4 * 16 + 16
    expected = patches + 6 * 16 + 3 * Layer.parameter_count(16) + 2 * 16
    assert sum(p.numel() for p in encoder.parameters()) == expected


def test_patches_are_read_row_by_row() -> None:
    encoder = ViTSmall(_modality(8, 12), 16, layers=1)
    tokens = encoder.stages["tokens"]
    image = torch.zeros(1, 3, 8, 12)
    image[0, :, 5, 9] = 1.0  # second row of patches, third column
    changed = (tokens(image, None)[0] != tokens(torch.zeros_like(image), None)[0]).any(2)
    assert changed[0].nonzero()[:, 0].tolist() == [5]
