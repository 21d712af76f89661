from __future__ import annotations

import torch

from mtmm.weighting.equal import Equal


def test_every_weight_is_1() -> None:
    weights, state = Equal().step({}, torch.tensor([0.1, 5.0, 0.0]))
    assert weights.tolist() == [1, 1, 1]
    assert state == {}
