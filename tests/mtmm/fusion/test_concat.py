from __future__ import annotations

import torch

from mtmm.fusion.concat import Concat


def test_by_hand() -> None:
    fusion = Concat({"b": 1, "a": 2}, 1)
    with torch.no_grad():
        fusion.projection.weight.copy_(torch.tensor([[1.0, 10.0, 100.0]]))
        fusion.projection.bias.fill_(0.5)
    features = {"a": torch.tensor([[1.0, 2.0]]), "b": torch.tensor([[3.0]])}
    assert fusion(features).item() == 1 + 20 + 300 + 0.5
    present = {"a": torch.tensor([True]), "b": torch.tensor([False])}
    assert fusion(features, present).item() == 1 + 20 + 0.5
