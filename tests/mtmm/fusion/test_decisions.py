"""Decision-level fusions against their definitions, in probabilities."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtmm.fusion import FUSIONS
from mtmm.fusion.late_learned import LateLearned
from mtmm.fusion.late_mean_logit import LateMeanLogit
from mtmm.fusion.late_mean_prob import LateMeanProb
from mtmm.fusion.late_product import LateProduct
from mtmm.fusion.mixture import Mixture

K = 3
DIMS = {"a": K, "b": K, "c": K}
DECISIONS = [name for name, made in FUSIONS.items() if made.level == "decision"]


@pytest.fixture
def logits() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: 3 * torch.randn(4, K, generator=generator).double() for name in DIMS}


@pytest.fixture
def present() -> dict[str, Tensor]:
    return {
        "a": torch.tensor([True, True, False, False]),
        "b": torch.tensor([True, False, False, True]),
        "c": torch.tensor([True, True, True, False]),
    }


def _floats(logits: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.float() for name, value in logits.items()}


def _each(logits: dict[str, Tensor], present: dict[str, Tensor], row: int) -> Tensor:
    """Probabilities `[m, K]` of the modalities that a sample has."""
    there = [logits[name][row].softmax(0) for name in DIMS if present[name][row]]
    return torch.stack(there)


def test_the_mean_of_probabilities(logits: dict[str, Tensor], present: dict[str, Tensor]) -> None:
    fused = LateMeanProb(DIMS, K)(logits, present).double()
    for row in range(4):
        expected = _each(logits, present, row).mean(0)
        torch.testing.assert_close(fused[row].exp(), expected, rtol=1e-5, atol=1e-6)


def test_the_mean_of_logits_is_the_geometric_mean(
    logits: dict[str, Tensor], present: dict[str, Tensor]
) -> None:
    fused = LateMeanLogit(DIMS, K)(logits, present).double()
    for row in range(4):
        mean = _each(logits, present, row).log().mean(0)
        torch.testing.assert_close(fused[row].softmax(0), mean.softmax(0), rtol=1e-5, atol=1e-6)


def test_the_product_of_experts(logits: dict[str, Tensor], present: dict[str, Tensor]) -> None:
    fused = LateProduct(DIMS, K)(logits, present).double()
    for row in range(4):
        product = _each(logits, present, row).prod(0)
        expected = product / product.sum()
        torch.testing.assert_close(fused[row].softmax(0), expected, rtol=1e-5, atol=1e-6)


def test_learned_weights_are_shares_of_those_present(
    logits: dict[str, Tensor], present: dict[str, Tensor]
) -> None:
    fusion = LateLearned(DIMS, K)
    with torch.no_grad():
        fusion.weights.copy_(torch.tensor([0.3, -1.0, 2.0]))
    fused = fusion(logits, present).detach()
    for row in range(4):
        there = [i for i, name in enumerate(DIMS) if present[name][row]]
        shares = fusion.weights.detach()[there].softmax(0)
        rows = torch.stack([logits[name][row] for name in DIMS if present[name][row]]).float()
        torch.testing.assert_close(fused[row], (shares[:, None] * rows).sum(0))


def test_a_mixture_weighs_each_sample_by_its_features(logits: dict[str, Tensor]) -> None:
    torch.manual_seed(0)
    widths = {"a": 2, "b": 5, "c": 1}
    fusion = Mixture(DIMS, K, widths)
    features = {name: torch.randn(4, dim) for name, dim in widths.items()}
    fused = fusion(logits, None, features)
    shares = fusion.gate(torch.cat([features[name] for name in "abc"], dim=1)).softmax(1)
    expected = sum(shares[:, i, None] * logits[name].float() for i, name in enumerate(DIMS))
    torch.testing.assert_close(fused, expected)
    assert not torch.allclose(shares[0], shares[1])
    assert Mixture.parameter_count(DIMS, K, widths) == 3 * 8 + 3


@pytest.mark.parametrize("name", DECISIONS)
def test_with_one_modality_the_prediction_is_that_of_its_head(
    name: str, logits: dict[str, Tensor]
) -> None:
    alone = {m: torch.full((4,), m == "b") for m in DIMS}
    fused = FUSIONS[name](DIMS, K)(_floats(logits), alone).softmax(1)
    torch.testing.assert_close(fused, logits["b"].float().softmax(1))


@pytest.mark.parametrize("name", DECISIONS)
def test_without_any_modality_every_class_is_as_likely(
    name: str, logits: dict[str, Tensor]
) -> None:
    nobody = {m: torch.zeros(4, dtype=torch.bool) for m in DIMS}
    fused = FUSIONS[name](DIMS, K)(_floats(logits), nobody).softmax(1)
    torch.testing.assert_close(fused, torch.full((4, K), 1 / K))


@pytest.mark.parametrize("name", DECISIONS)
def test_widths_are_the_number_of_classes(name: str) -> None:
    with pytest.raises(ValueError, match="`dims` must all be the number of classes, 3; found a: 4"):
        FUSIONS[name]({"a": 4, "b": 3}, 3)
