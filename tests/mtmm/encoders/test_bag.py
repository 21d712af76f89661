from __future__ import annotations

import torch
from torch import nn

from mtmm.encoders.bag import Bag
from mtmm.spec import Modality

TEXT = Modality(name="t", kind="text", shape=(4,), vocabulary=9)


def test_the_feature_is_made_of_the_mean_of_the_real_words() -> None:
    torch.manual_seed(0)
    encoder = Bag(TEXT, 6, embedding=3)
    table = next(module for module in encoder.modules() if isinstance(module, nn.Embedding))
    linear = next(module for module in encoder.modules() if isinstance(module, nn.Linear))
    x = torch.tensor([[1, 2, 0, 0], [7, 7, 7, 8]])
    means = torch.stack([table(x[0, :2]).mean(0), table(x[1]).mean(0)])
    torch.testing.assert_close(encoder(x, x != 0).vector, torch.relu(linear(means)))


def test_the_number_of_parameters() -> None:
    assert sum(p.numel() for p in Bag(TEXT, 6, embedding=3).parameters()) == 9 * 3 + 3 * 6 + 6
