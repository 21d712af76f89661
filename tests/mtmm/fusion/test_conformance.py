"""What every registered fusion must do."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from mtmm.fusion import FUSIONS
from mtmm.fusion.base import Fusion

OUT_DIM = 6
B = 5


class Case(NamedTuple):
    fusion: str
    dims: dict[str, int]
    settings: dict[str, Any]

    def build(self, seed: int = 0, out_dim: int = OUT_DIM) -> Fusion:
        torch.manual_seed(seed)
        make: Callable[..., Fusion] = FUSIONS[self.fusion]
        return make(self.dims, out_dim, **self.settings)

    def features(self, size: int = B) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(1)
        return {
            name: torch.randn(size, dim, generator=generator) for name, dim in self.dims.items()
        }


CASES = [
    Case("bilinear", {"b": 4, "a": 3}, {}),
    Case("concat", {"b": 4, "a": 3}, {}),
    Case("concat", {"c": 2, "b": 4, "a": 3}, {}),
    Case("film", {"b": 4, "a": 3}, {}),
    Case("film", {"b": OUT_DIM, "a": 3}, {}),
    Case("film", {"b": 4, "a": 3}, {"condition": "b"}),
    Case("gated", {"b": 4, "a": 3}, {}),
    Case("gated", {"b": 4, "a": 3}, {"gate": "b"}),
    Case("gmu", {"b": 4, "a": 3}, {}),
    Case("gmu", {"c": 2, "b": 4, "a": 3}, {}),
    Case("lowrank", {"b": 4, "a": 3}, {"rank": 3}),
    Case("lowrank", {"c": 2, "b": 4, "a": 3}, {}),
    Case("max", {"b": 4, "a": 3}, {}),
    Case("max", {"c": 2, "b": 4, "a": 3}, {}),
    Case("mean", {"b": 4, "a": 3}, {}),
    Case("mean", {"c": 2, "b": 4, "a": 3}, {}),
    Case("mi", {"b": 4, "a": 3}, {}),
    Case("mi_diag", {"b": 4, "a": 3}, {}),
    Case("mi_diag", {"b": OUT_DIM, "a": OUT_DIM}, {"condition": "b"}),
    Case("mlb", {"b": 4, "a": 3}, {}),
    Case("mlb", {"c": 2, "b": 4, "a": 3}, {"rank": 9}),
    Case("none", {"a": 4}, {}),
    Case("none", {"a": OUT_DIM}, {}),
    Case("product", {"b": 4, "a": 3}, {}),
    Case("product", {"c": 2, "b": 4, "a": 3}, {}),
    Case("sum", {"b": 4, "a": 3}, {}),
    Case("sum", {"c": 2, "b": 4, "a": 3}, {}),
    Case("tensor", {"b": 4, "a": 3}, {}),
    Case("tensor", {"c": 2, "b": 4, "a": 3}, {}),
    Case("weighted", {"b": 4, "a": 3}, {}),
    Case("weighted", {"c": 2, "b": 4, "a": 3}, {}),
]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.fusion}-{len(c.dims)}")


def test_every_fusion_is_covered() -> None:
    assert {case.fusion for case in CASES} == set(FUSIONS)


@every_case
def test_parameter_count_is_the_truth(case: Case) -> None:
    for out_dim in (1, OUT_DIM, 9):
        made = case.build(out_dim=out_dim)
        count: Callable[..., int] = type(made).parameter_count
        expected = sum(parameter.numel() for parameter in made.parameters())
        assert count(case.dims, out_dim, **case.settings) == expected


@every_case
def test_out_dim_is_the_width_of_the_output(case: Case) -> None:
    fusion = case.build()
    for size in (B, 1):
        assert fusion(case.features(size)).shape == (size, fusion.out_dim) == (size, OUT_DIM)


@every_case
def test_every_parameter_gets_a_gradient(case: Case) -> None:
    fusion = case.build()
    features = {name: feature.requires_grad_() for name, feature in case.features().items()}
    fusion(features).square().sum().backward()
    for name, parameter in fusion.named_parameters():
        assert parameter.grad is not None, name
        assert (parameter.grad != 0).any(), name


@every_case
def test_eval_repeats(case: Case) -> None:
    fusion = case.build().eval()
    assert torch.equal(fusion(case.features()), fusion(case.features()))


@every_case
def test_a_sample_does_not_depend_on_its_batch(case: Case) -> None:
    fusion = case.build().eval()
    features = case.features()
    together = fusion(features)
    for i in range(B):
        alone = fusion({name: value[i : i + 1] for name, value in features.items()})
        torch.testing.assert_close(alone, together[i : i + 1])


@every_case
def test_every_modality_matters(case: Case) -> None:
    fusion = case.build(out_dim=64)  # of a maximum each has some part
    features = case.features()
    for name in case.dims:
        other = fusion({**features, name: features[name] + 1})
        assert ((other - fusion(features)).abs().amax(1) > 1e-4).all(), name


@every_case
def test_the_order_of_modalities_does_not_matter(case: Case) -> None:
    turned = Case(case.fusion, dict(reversed(case.dims.items())), case.settings)
    features = case.features()
    swapped = dict(reversed(features.items()))
    present = {name: torch.rand(B) > 0.5 for name in case.dims}
    assert torch.equal(case.build()(features), turned.build()(features))
    assert torch.equal(case.build()(features), case.build()(swapped))
    assert torch.equal(case.build()(features, present), turned.build()(swapped, present))


@every_case
def test_all_present_is_the_same_as_no_mask(case: Case) -> None:
    fusion = case.build()
    present = {name: torch.ones(B, dtype=torch.bool) for name in case.dims}
    torch.testing.assert_close(fusion(case.features(), present), fusion(case.features()))


@every_case
@pytest.mark.parametrize("garbage", [math.nan, math.inf, -math.inf, 1e30])
def test_what_an_absent_modality_holds_never_matters(case: Case, garbage: float) -> None:
    fusion = case.build()
    for parameter in fusion.parameters():
        torch.nn.init.normal_(parameter)  # biases too: they are 0 at first
    absent_everywhere = torch.zeros(B, dtype=torch.bool)
    some = torch.tensor([True, False, True, False, True])
    for name in case.dims:
        for there in (some, absent_everywhere):
            present = {other: torch.ones(B, dtype=torch.bool) for other in case.dims} | {
                name: there
            }
            outcomes = [_run(fusion, case, name, present, value) for value in (0.0, garbage)]
            torch.testing.assert_close(outcomes[1], outcomes[0], rtol=0, atol=0)


def _run(
    fusion: Fusion, case: Case, name: str, present: dict[str, Tensor], value: float
) -> list[Tensor]:
    """The output, and the gradients of parameters and features; all of them finite."""
    features = case.features()
    features[name] = torch.where(present[name][:, None], features[name], value)
    leaves = [*fusion.parameters(), *(f.requires_grad_() for f in features.values())]
    out = fusion(features, present)
    gradients = torch.autograd.grad(out.square().sum(), leaves)
    result = [out.detach(), *gradients]
    assert all(tensor.isfinite().all() for tensor in result)
    assert (gradients[-len(features) :][list(features).index(name)][~present[name]] == 0).all()
    return result


@every_case
def test_absence_matters(case: Case) -> None:
    fusion = case.build(out_dim=64)
    for name in case.dims:
        present = {other: torch.full((B,), other != name) for other in case.dims}
        difference = fusion(case.features(), present) - fusion(case.features())
        assert (difference.abs().amax(1) > 1e-4).all(), name


@every_case
def test_the_output_has_unit_variance_at_initialisation(case: Case) -> None:
    wide = Case(case.fusion, {name: 16 * dim for name, dim in case.dims.items()}, case.settings)
    features = wide.features(256)
    outputs = [wide.build(seed, out_dim=64)(features) for seed in range(20)]
    second_moment = torch.stack(outputs).square().mean().item()
    assert second_moment == pytest.approx(1, abs=0.06)


@every_case
def test_a_state_dict_restores(case: Case) -> None:
    fusion, other = case.build(), case.build(seed=1)
    other.load_state_dict(fusion.state_dict())
    assert torch.equal(other(case.features()), fusion(case.features()))


@every_case
def test_more_modalities_than_the_definition_allows_are_refused(case: Case) -> None:
    limit = FUSIONS[case.fusion].max_modalities
    if limit is None:
        return
    dims = {str(i): 2 for i in range(limit + 1)}
    with pytest.raises(ValueError, match=rf"at most {limit} modalities; found {limit + 1}: 0, 1"):
        Case(case.fusion, dims, {}).build()


@every_case
def test_a_sample_without_any_modality_is_finite_and_has_finite_gradients(case: Case) -> None:
    fusion = case.build()
    absent = {name: torch.zeros(B, dtype=torch.bool) for name in case.dims}
    features = {name: torch.full((B, dim), math.nan) for name, dim in case.dims.items()}
    out = fusion(features, absent)
    assert out.isfinite().all()
    torch.testing.assert_close(out, out[:1].expand_as(out))
    if out.requires_grad:
        moved = [parameter for parameter in fusion.parameters()]
        gradients = torch.autograd.grad(out.square().sum(), moved, allow_unused=True)
        assert all(gradient is None or gradient.isfinite().all() for gradient in gradients)


@every_case
def test_autocast_changes_little(case: Case) -> None:
    fusion = case.build()
    exact = fusion(case.features())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = fusion(case.features())
    torch.testing.assert_close(rough.float(), exact, rtol=0.05, atol=0.1)
