from __future__ import annotations

import torch
from torch import nn

from mtmm.fusion.concat import Concat
from mtmm.fusion.sum import Sum

DIMS = {"b": 4, "a": 3, "c": 2}


def _with_biases() -> Sum:
    torch.manual_seed(0)
    fusion = Sum(DIMS, 6).double()
    for projection in _projections(fusion):
        nn.init.normal_(projection.bias)
    return fusion


def _projections(fusion: Sum) -> list[nn.Linear]:
    return [layer for layer in fusion.projections if isinstance(layer, nn.Linear)]


def test_it_is_concat_with_the_same_weights() -> None:
    fusion, concat = _with_biases(), Concat(DIMS, 6).double()
    projections = _projections(fusion)
    with torch.no_grad():
        concat.projection.weight.copy_(torch.cat([p.weight for p in projections], dim=1))
        concat.projection.bias.copy_(torch.stack([p.bias for p in projections]).sum(0))
    features = {name: torch.randn(5, dim, dtype=torch.float64) for name, dim in DIMS.items()}
    torch.testing.assert_close(fusion(features), concat(features), rtol=1e-13, atol=1e-13)


def test_an_absent_modality_takes_its_bias_with_it() -> None:
    fusion = _with_biases()
    features = {name: torch.randn(1, dim, dtype=torch.float64) for name, dim in DIMS.items()}
    present = {name: torch.tensor([name == "b"]) for name in DIMS}
    a, b, c = _projections(fusion)
    torch.testing.assert_close(fusion(features, present), b(features["b"]))
    nobody = {name: torch.tensor([False]) for name in DIMS}
    assert (fusion(features, nobody) == 0).all()
    torch.testing.assert_close(
        fusion(features), a(features["a"]) + b(features["b"]) + c(features["c"])
    )
