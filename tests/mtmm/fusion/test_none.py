from __future__ import annotations

import torch
from torch import nn

from mtmm.fusion.none import NoFusion


def test_a_feature_of_the_right_width_passes_unchanged() -> None:
    x = torch.randn(3, 4)
    assert torch.equal(NoFusion({"a": 4}, 4)({"a": x}), x)


def test_a_feature_of_another_width_is_projected() -> None:
    fusion = NoFusion({"a": 4}, 2)
    x = torch.randn(3, 4)
    assert isinstance(fusion.projection, nn.Linear)
    torch.testing.assert_close(fusion({"a": x}), x @ fusion.projection.weight.T)
