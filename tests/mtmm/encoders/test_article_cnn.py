from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from mtmm.encoders.article_cnn import ArticleCNN
from mtmm.encoders.lstm import LSTM
from mtmm.fusion.concat import Concat
from mtmm.spec import Modality

IMAGE = Modality(name="image", kind="image", shape=(3, 32, 32))
TEXT = Modality(name="text", kind="text", shape=(12,), vocabulary=1000)


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_feature_is_the_mean_of_the_pooled_map() -> None:
    encoder = ArticleCNN(IMAGE, 128, channels=4)
    x = torch.randn(2, 3, 32, 32)
    weight, bias = encoder.parameters()
    pooled = F.max_pool2d(F.conv2d(x, weight, bias, padding=1).relu(), 2)
    torch.testing.assert_close(encoder(x).vector, pooled.mean((2, 3)))


def test_the_articles_networks_at_width_128() -> None:
    image = ArticleCNN(IMAGE, 128)
    text = LSTM(TEXT, 128, embedding=100, hidden=64, layers=2)
    fusion = Concat({"image": image.dim, "text": text.dim}, 128)
    assert (image.dim, text.dim) == (64, 64)
    assert _count(image) == 3 * 64 * 9 + 64 == 1_792
    first_layer = 4 * 64 * (100 + 64 + 2)
    second_layer = 4 * 64 * (64 + 64 + 2)
    assert _count(text) == 1000 * 100 + first_layer + second_layer == 175_776
    assert _count(fusion) == (64 + 64) * 128 + 128 == 16_512
