"""Fusions against their definitions, and against each other where they are the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mtmm.fusion import FUSIONS
from mtmm.fusion.base import Fusion
from mtmm.fusion.bilinear import Bilinear
from mtmm.fusion.concat import Concat
from mtmm.fusion.film import FiLM
from mtmm.fusion.gmu import GMU
from mtmm.fusion.lowrank import LowRank
from mtmm.fusion.max import Max
from mtmm.fusion.mean import Mean
from mtmm.fusion.mi import MI
from mtmm.fusion.mi_diag import DiagonalMI
from mtmm.fusion.mlb import MLB
from mtmm.fusion.product import Product
from mtmm.fusion.sum import Sum
from mtmm.fusion.tensor import TensorFusion
from mtmm.fusion.weighted import Weighted

B, OUT = 6, 5
TWO, THREE = {"a": 3, "b": 4}, {"a": 3, "b": 4, "c": 2}


def features(dims: dict[str, int]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(B, dim, generator=generator, dtype=torch.float64)
        for name, dim in dims.items()
    }


def made(make: Callable[..., Fusion], dims: dict[str, int], **settings: Any) -> Any:
    """A fusion in float64 whose parameters are all random: biases are 0 at first."""
    torch.manual_seed(1)
    fusion = make(dims, OUT, **settings).double()
    for parameter in fusion.parameters():
        nn.init.normal_(parameter, std=0.5)
    return fusion


@pytest.mark.parametrize(
    ("name", "settings", "count"),
    [
        ("concat", {}, 131_328),
        ("sum", {}, 131_584),
        ("mean", {}, 131_584),
        ("max", {}, 131_584),
        ("product", {}, 131_584),
        ("weighted", {}, 131_584 + 2 * 512 + 2),
        ("gated", {}, 131_584),
        ("gmu", {}, 262_144),
        ("film", {}, 131_584),
        ("mi_diag", {}, 131_584),
        ("mlb", {}, 197_376),
        ("bilinear", {}, 16_777_472),
        ("mi", {}, 16_908_544),
        ("tensor", {}, 16_908_800),
        ("lowrank", {"rank": 16}, 2_105_616),
    ],
)
def test_parameters_of_two_modalities_at_width_256(
    name: str, settings: dict[str, Any], count: int
) -> None:
    formula: Callable[..., int] = FUSIONS[name].parameter_count
    assert formula({"a": 256, "b": 256}, 256, **settings) == count


def test_mi_at_width_512_has_the_published_size() -> None:
    assert MI.parameter_count({"a": 512, "b": 512}, 512) == 134_742_528


def test_the_gmu_of_three_modalities_has_a_gate_each() -> None:
    assert GMU.parameter_count({"a": 256, "b": 256}, 256) == 262_144
    assert GMU.parameter_count({"a": 64, "b": 64, "c": 64}, 64) == 64 * 192 * 4


def test_sum_is_concat() -> None:
    total, joined = made(Sum, THREE), made(Concat, THREE)
    with torch.no_grad():
        joined.projection.weight.copy_(torch.cat([p.weight for p in total.projections], dim=1))
        joined.projection.bias.copy_(sum(p.bias for p in total.projections))
    torch.testing.assert_close(total(features(THREE)), joined(features(THREE)))


def test_mi_is_tensor_fusion() -> None:
    mi, tensor = made(MI, TWO), made(TensorFusion, TWO)
    weight = torch.zeros(OUT, 4, 5, dtype=torch.float64)
    with torch.no_grad():
        weight[:, :3, :4] = mi.weight
        weight[:, :3, 4], weight[:, 3, :4] = mi.linears[0].weight, mi.linears[1].weight
        tensor.projection.weight.copy_(weight.flatten(1))
        tensor.projection.bias.copy_(mi.bias)
    torch.testing.assert_close(mi(features(TWO)), tensor(features(TWO)))


def test_low_rank_fusion_is_tensor_fusion_with_factorised_weights() -> None:
    low, tensor = made(LowRank, THREE, rank=2), made(TensorFusion, THREE)
    factors = [
        torch.cat([layer.weight, layer.bias[:, None]], 1).view(2, OUT, -1) for layer in low.factors
    ]
    weight = torch.einsum("r,roi,roj,rok->oijk", low.weights, *factors)
    with torch.no_grad():
        tensor.projection.weight.copy_(weight.flatten(1))
        tensor.projection.bias.copy_(low.bias)
    found = low(features(THREE)).double()  # its products are in 32 bits
    torch.testing.assert_close(found, tensor(features(THREE)), rtol=1e-4, atol=1e-4)


def test_elementwise_joins() -> None:
    given = features(THREE)
    for make, join in ((Mean, torch.mean), (Max, torch.amax), (Product, torch.prod)):
        fusion = made(make, THREE)
        each = [layer(given[name]) for layer, name in zip(fusion.projections, "abc", strict=True)]
        torch.testing.assert_close(fusion(given), join(torch.stack(each), 0))


def test_absent_modalities_are_left_out_of_elementwise_joins() -> None:
    given, two = features(THREE), {"a": 3, "b": 4}
    present = {"a": torch.ones(B).bool(), "b": torch.ones(B).bool(), "c": torch.zeros(B).bool()}
    for make in (Mean, Max, Product):
        fusion, less = made(make, THREE), made(make, two)
        for own, other in zip(less.projections, fusion.projections, strict=False):
            own.load_state_dict(other.state_dict())
        expected = less({name: given[name] for name in two})
        torch.testing.assert_close(fusion(given, present), expected)


def test_weighted() -> None:
    fusion, given = made(Weighted, THREE), features(THREE)
    joined = torch.cat([given[name] for name in "abc"], 1)
    for there in ([1, 1, 1], [1, 0, 1]):
        present = {n: torch.full((B,), bool(p)) for n, p in zip("abc", there, strict=True)}
        mask = torch.tensor(there).bool()
        masked = torch.cat([given[n] * present[n][:, None] for n in "abc"], 1)
        shares = torch.softmax(fusion.attention(masked).masked_fill(~mask, -torch.inf), 1)
        parts = [p(given[n]) for p, n in zip(fusion.projections, "abc", strict=True)]
        expected = sum(shares[:, i : i + 1] * part for i, part in enumerate(parts) if there[i])
        torch.testing.assert_close(fusion(given, present), expected)
    assert joined.shape == (B, 9)


def test_gmu() -> None:
    fusion, given = made(GMU, TWO), features(TWO)
    z = fusion.gates(torch.cat([given["a"], given["b"]], 1)).sigmoid()
    values = [v(given[name]).tanh() for v, name in zip(fusion.values, "ab", strict=True)]
    torch.testing.assert_close(fusion(given) / fusion.scale, z * values[0] + (1 - z) * values[1])
    fusion, given = made(GMU, THREE), features(THREE)
    z = fusion.gates(torch.cat([given[name] for name in "abc"], 1)).sigmoid().view(B, 3, OUT)
    values = [v(given[name]).tanh() for v, name in zip(fusion.values, "abc", strict=True)]
    expected = sum(z[:, i] * value for i, value in enumerate(values))
    torch.testing.assert_close(fusion(given) / fusion.scale, expected)


@pytest.mark.parametrize(("condition", "by", "other"), [(None, "a", "b"), ("b", "b", "a")])
def test_film_and_diagonal_mi(condition: str | None, by: str, other: str) -> None:
    given = features(TWO)
    film = made(FiLM, TWO, condition=condition)
    value = film.value(given[other])
    expected = (1 + film.gamma(given[by])) * value + film.beta(given[by])
    torch.testing.assert_close(film(given) / film.scale, expected)
    diagonal = made(DiagonalMI, TWO, condition=condition)
    value = diagonal.value(given[other])
    expected = diagonal.scaling(given[by]) * value + diagonal.shift(given[by])
    torch.testing.assert_close(diagonal(given), expected)
    # The same but for film's 1 and its scale.
    with torch.no_grad():
        for own, theirs in ((diagonal.scaling, film.gamma), (diagonal.shift, film.beta)):
            own.load_state_dict(theirs.state_dict())
        diagonal.scaling.bias += 1
        diagonal.value.load_state_dict(film.value.state_dict())
    torch.testing.assert_close(film(given) / film.scale, diagonal(given))


def test_the_condition_must_be_one_of_the_modalities() -> None:
    for make in (FiLM, DiagonalMI):
        with pytest.raises(ValueError, match="`condition` must be one of a, b; found 'c'"):
            make(TWO, OUT, condition="c")


def test_bilinear_forms() -> None:
    given = features(TWO)
    fusion = made(Bilinear, TWO)
    expected = torch.einsum("bi,oij,bj->bo", given["a"], fusion.weight, given["b"]) + fusion.bias
    torch.testing.assert_close(fusion(given), expected)
    mlb = made(MLB, THREE, rank=7)
    given = features(THREE)
    values = [p(given[name]).tanh() for p, name in zip(mlb.projections, "abc", strict=True)]
    torch.testing.assert_close(mlb(given), mlb.pooling(values[0] * values[1] * values[2]))


@pytest.mark.parametrize("name", ["bilinear", "film", "gated", "mi", "mi_diag"])
def test_pairs_need_two_modalities(name: str) -> None:
    make: Callable[..., Fusion] = FUSIONS[name]
    with pytest.raises(ValueError, match="fuses two modalities; found 1"):
        make({"a": 3}, OUT)
    with pytest.raises(ValueError, match="at most 2 modalities; found 3: a, b, c"):
        make(THREE, OUT)
