from __future__ import annotations

import pytest
import torch
from torch import nn

from mtmm.masking import ChannelMask, ElementMask


def test_values_are_dropped_or_kept_as_they_are() -> None:
    torch.manual_seed(0)
    x = torch.rand(200, 50) + 1
    y = ElementMask(0.3)(x)
    assert torch.equal(y[y != 0], x[y != 0])
    # 10,000 draws: four standard deviations are 1.8 points.
    assert float((y == 0).float().mean()) == pytest.approx(0.3, abs=0.019)
    assert not torch.equal((y == 0)[0], (y == 0)[1])


def test_channels_are_dropped_for_a_whole_batch() -> None:
    torch.manual_seed(0)
    x = torch.rand(3, 400, 2, 2) + 1
    y = ChannelMask(0.5)(x)
    dropped = (y == 0).all(dim=(0, 2, 3))
    assert torch.equal((y == 0).any(dim=(0, 2, 3)), dropped)
    assert torch.equal(y[:, ~dropped], x[:, ~dropped])
    assert float(dropped.float().mean()) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("mask", [ElementMask(0.5), ChannelMask(0.5)])
def test_nothing_is_dropped_in_evaluation(mask: nn.Module) -> None:
    x = torch.rand(2, 3, 4, 4)
    assert torch.equal(mask.eval()(x), x)
