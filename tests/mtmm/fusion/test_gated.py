from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from mtmm.fusion import gated
from mtmm.fusion.gated import Gated

DIMS = {"b": 4, "a": 3}


def test_the_power_of_the_gate_by_quadrature() -> None:
    def integrand(z: float) -> float:
        return float(stats.norm.pdf(z) / (1 + np.exp(-z)) ** 2)

    power, _ = integrate.quad(integrand, -12, 12)
    assert power == pytest.approx(gated._GATE_POWER, abs=1e-4)


@pytest.mark.parametrize(("gate", "first"), [(None, "a"), ("a", "a"), ("b", "b")])
def test_one_modality_gates_the_other(gate: str | None, first: str) -> None:
    fusion = Gated(DIMS, 6, gate=gate)
    other = "b" if first == "a" else "a"
    features = {name: torch.randn(5, dim) for name, dim in DIMS.items()}
    expected = fusion.gate(features[first]).sigmoid() * fusion.value(features[other])
    torch.testing.assert_close(fusion(features), expected)
    assert (fusion.gate.in_features, fusion.value.in_features) == (DIMS[first], DIMS[other])


def test_what_is_left_where_one_is_absent() -> None:
    fusion = Gated(DIMS, 6, gate="b")
    torch.nn.init.normal_(fusion.gate.bias)
    torch.nn.init.normal_(fusion.value.bias)
    features = {name: torch.randn(1, dim) for name, dim in DIMS.items()}
    without_gate = fusion(features, {"a": torch.tensor([True]), "b": torch.tensor([False])})
    expected = fusion.gate.bias.sigmoid() * fusion.value(features["a"])
    torch.testing.assert_close(without_gate, expected)
    without_value = fusion(features, {"a": torch.tensor([False]), "b": torch.tensor([True])})
    expected = fusion.gate(features["b"]).sigmoid() * fusion.value.bias
    torch.testing.assert_close(without_value, expected)


def test_the_gate_must_be_one_of_the_modalities() -> None:
    with pytest.raises(ValueError, match="`gate` must be one of b, a; found 'c'"):
        Gated(DIMS, 6, gate="c")


def test_one_modality_is_too_few() -> None:
    with pytest.raises(ValueError, match="fuses two modalities; found 1"):
        Gated({"a": 3}, 6)
