"""What every registered fusion must do, and that the checks find what is planted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mtmm.attention import masked_mean
from mtmm.fusion import FUSIONS
from mtmm.fusion.base import Fusion, linear
from mtmm.fusion.concat import Concat
from mtmm.fusion.conformance import INVARIANTS, OUT_DIM, Case, broken, cases_of
from mtmm.fusion.early import Early
from mtmm.fusion.tokens import TokenFusion, Tokens

PAIR = {"b": 4, "a": 3}
FURTHER: list[tuple[str, dict[str, int], dict[str, Any]]] = [
    ("film", {"b": OUT_DIM, "a": 3}, {}),
    ("film", PAIR, {"condition": "b"}),
    ("gated", PAIR, {"gate": "b"}),
    ("mi_diag", {"b": OUT_DIM, "a": OUT_DIM}, {"condition": "b"}),
    ("lowrank", PAIR, {"rank": 3}),
    ("mlb", PAIR, {"rank": 9}),
    ("none", {"a": OUT_DIM}, {}),
    ("early", PAIR, {"layers": 1, "heads": 2}),
    ("cross_attention", PAIR, {"layers": 2}),
    ("bottleneck", PAIR, {"bottlenecks": 1, "layers": 1}),
]
CASES = [
    *((name, case) for name, make in FUSIONS.items() for case in cases_of(make)),
    *((name, Case(FUSIONS[name], dims, settings)) for name, dims, settings in FURTHER),
]


def _told(item: tuple[str, Case]) -> str:
    name, case = item
    settings = ",".join(f"{key}={value}" for key, value in case.settings.items())
    return f"{name}-{len(case.dims)}{settings}"


@pytest.mark.parametrize("invariant", INVARIANTS)
@pytest.mark.parametrize("item", CASES, ids=_told)
def test_every_fusion_conforms(item: tuple[str, Case], invariant: str) -> None:
    assert list(INVARIANTS[invariant](item[1])) == []


def test_every_fusion_is_covered() -> None:
    assert {name for name, _ in CASES} == set(FUSIONS)


@pytest.mark.parametrize("item", [item for item in CASES if item[1].level == "feature"], ids=_told)
def test_the_output_has_unit_variance_at_initialisation(item: tuple[str, Case]) -> None:
    name, case = item
    dims = {modality: 16 * dim for modality, dim in case.dims.items()}
    wide = Case(case.make, dims, case.settings, 64)
    outputs = [wide.build(seed)(wide.features(256)) for seed in range(20)]
    moment = torch.stack(outputs).square().mean().item()
    assert moment == pytest.approx(1, abs=0.06), name


class LayerInForward(Concat):
    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        x = torch.cat(self.masked(features, present), dim=1)
        made: Tensor = linear(x.shape[1], self.out_dim)(x) + self.projection(x)
        return made


class PlainList(Fusion):
    def __init__(self, dims: Mapping[str, int], out_dim: int) -> None:
        super().__init__(dims, out_dim)
        self.factors = [linear(dim, out_dim) for dim in self.dims.values()]

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        inputs = self.masked(features, present)
        return torch.stack([f(x) for f, x in zip(self.factors, inputs, strict=True)]).sum(0)

    @classmethod
    def parameter_count(cls, dims: Mapping[str, int], out_dim: int, *_: Any, **__: Any) -> int:
        return sum(dim * out_dim + out_dim for dim in dims.values())


class BatchMixing(Concat):
    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        fused = super().forward(features, present)
        return fused - fused.mean(0)


class IgnoredModality(Concat):
    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        first = next(iter(self.dims))
        return super().forward({**features, first: 0 * features[first]}, present)


class LeakingMask(Concat):
    def masked(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None
    ) -> list[Tensor]:
        if present is None:
            return super().masked(features, present)
        return [features[name] * present[name][:, None] for name in self.dims]


class OneKey(TokenFusion):
    """Attention to the mean of the other modality's tokens: a softmax over one score."""

    def __init__(self, dims: Mapping[str, int], out_dim: int) -> None:
        super().__init__(dims, out_dim)
        self.query = nn.Linear(out_dim, out_dim)

    def fuse(self, tokens: list[Tokens]) -> Tensor:
        one, *others = [masked_mean(part.x, part.mask) for part in tokens]
        key = torch.stack(others).sum(0)[:, None]
        scores = self.query(one)[:, None] @ key.mT
        seen: Tensor = one + (scores.softmax(2) @ key).squeeze(1)
        return seen


class LeakingPadding(Early):
    def forward(
        self,
        features: Mapping[str, Tensor],
        present: Mapping[str, Tensor] | None = None,
        token_mask: Mapping[str, Tensor | None] | None = None,
    ) -> Tensor:
        return super().forward(features, present, None)


@pytest.mark.parametrize(
    ("defect", "invariant"),
    [
        (LayerInForward, "repeatable"),
        (LayerInForward, "registered_parameters"),
        (PlainList, "parameter_count"),
        (PlainList, "registered_parameters"),
        (BatchMixing, "batch_independence"),
        (IgnoredModality, "every_modality_matters"),
        (IgnoredModality, "absence_matters"),
        (LeakingMask, "absent_content"),
        (OneKey, "attention_matters"),
        (OneKey, "gradients"),
        (LeakingPadding, "padding"),
    ],
)
def test_a_planted_defect_is_found(defect: type[Fusion], invariant: str) -> None:
    assert invariant in dict(broken(defect))


def test_a_sound_fusion_breaks_nothing() -> None:
    assert broken(Concat) == []


def test_an_exception_is_told_as_what_broke() -> None:
    class Raises(Concat):
        def forward(
            self, features: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None
        ) -> Tensor:
            raise RuntimeError("shapes cannot be multiplied")

    assert "shapes cannot be multiplied" in dict(broken(Raises))["output_shape"]
