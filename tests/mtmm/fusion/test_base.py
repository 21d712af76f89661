from __future__ import annotations

import pytest
import torch

from mtmm.fusion import FUSIONS
from mtmm.fusion.base import Fusion, linear


@pytest.mark.parametrize("variance", [0.25, 1.0, 3.0])
def test_linear_has_the_variance_it_promises(variance: float) -> None:
    torch.manual_seed(0)
    layer = linear(200, 400, variance=variance)
    out = layer(torch.randn(500, 200))
    assert out.var().item() == pytest.approx(variance, rel=0.03)
    assert (layer.bias == 0).all()


def test_masked_features_come_in_the_order_of_their_names() -> None:
    fusion = Fusion({"b": 1, "a": 1}, 1)
    features = {"b": torch.tensor([[1.0], [2.0]]), "a": torch.tensor([[3.0], [torch.nan]])}
    present = {"a": torch.tensor([True, False]), "b": torch.tensor([False, True])}
    assert [x.tolist() for x in fusion.masked(features, present)] == [
        [[3.0], [0.0]],
        [[0.0], [2.0]],
    ]
    whole = fusion.masked(features, None)
    assert whole[0] is features["a"]
    assert whole[1] is features["b"]


@pytest.mark.parametrize("name", [name for name in FUSIONS if name != "none"])
def test_modalities_of_batches_of_different_sizes_are_refused(name: str) -> None:
    fusion = FUSIONS[name]({"b": 8, "a": 8}, 8)
    shape = (3, 8) if fusion.level == "token" else (8,)
    features = {"a": torch.zeros(5, *shape), "b": torch.zeros(4, *shape)}
    with pytest.raises(ValueError, match="must have as many samples; found a: 5, b: 4"):
        fusion(features)
