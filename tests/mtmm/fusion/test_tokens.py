"""Token-level fusions: who meets whom where."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtmm.attention import Layer, masked_mean
from mtmm.contracts import violation
from mtmm.fusion.bottleneck import Bottleneck
from mtmm.fusion.cross_attention import CrossAttention
from mtmm.fusion.early import Early
from mtmm.fusion.tokens import TokenFusion

DIMS = {"a": 3, "b": 5}


@pytest.fixture
def features() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {"a": torch.randn(2, 4, 3), "b": torch.randn(2, 6, 5)}


def test_early_is_its_layers_over_all_tokens_side_by_side(features: dict[str, Tensor]) -> None:
    fusion = Early(DIMS, 8, layers=2, heads=2)
    one, other = fusion.projections
    x = torch.cat([one(features["a"]), other(features["b"])], dim=1)
    for layer in fusion.layers:
        x = layer(x)
    torch.testing.assert_close(fusion(features), fusion.norm(x.mean(1)))


def test_cross_attention_is_a_stack_for_each_direction(features: dict[str, Tensor]) -> None:
    fusion = CrossAttention(DIMS, 8, heads=2)
    one, other = (p(features[name]) for name, p in zip("ab", fusion.projections, strict=True))
    forth, back = (module for module in fusion.modules() if isinstance(module, Layer))
    means = [forth(one, context=other).mean(1), back(other, context=one).mean(1)]
    normed = [norm(mean) for norm, mean in zip(fusion.norms, means, strict=True)]
    torch.testing.assert_close(fusion(features), fusion.projection(torch.cat(normed, dim=1)))


def test_modalities_meet_at_the_bottlenecks_alone(features: dict[str, Tensor]) -> None:
    fusion = Bottleneck(DIMS, 8, bottlenecks=2, layers=1, heads=2)
    seen: list[Tensor] = []
    for norm in fusion.norms:
        norm.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    fusion(features)
    fusion({**features, "b": torch.randn(2, 6, 5)})
    before, after = seen[:3], seen[3:]
    assert torch.equal(before[0], after[0])  # one layer: what a's tokens see is a
    assert not torch.allclose(before[1], after[1])
    assert not torch.allclose(before[2], after[2])


def test_behind_a_second_layer_each_knows_of_the_other(features: dict[str, Tensor]) -> None:
    fusion = Bottleneck(DIMS, 8, bottlenecks=1, layers=2, heads=2)
    seen: list[Tensor] = []
    fusion.norms[0].register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    fusion(features)
    fusion({**features, "b": torch.randn(2, 6, 5)})
    first, second = seen
    assert not torch.allclose(first, second)


def test_an_absent_modality_leaves_the_bottlenecks_to_the_others(
    features: dict[str, Tensor],
) -> None:
    fusion = Bottleneck(DIMS, 8, bottlenecks=2, layers=1, heads=2)
    seen: list[Tensor] = []
    fusion.norms[2].register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    present = {"a": torch.tensor([True, True]), "b": torch.tensor([True, False])}
    fusion(features, present)
    layer = fusion.layers[0][0]  # type: ignore[index]
    tokens = fusion.projections[0](features["a"])
    both = layer(torch.cat([tokens, fusion.bottlenecks.expand(2, -1, -1)], dim=1))
    torch.testing.assert_close(seen[0][1], both[1, 4:].mean(0))
    assert not torch.allclose(seen[0][0], both[0, 4:].mean(0))


def test_a_mask_leaves_padding_out_of_the_mean() -> None:
    x = torch.randn(1, 3, 2)
    mask = torch.tensor([[True, False, True]])
    torch.testing.assert_close(masked_mean(x, mask), x[:, [0, 2]].mean(1))


def test_one_of_ones_own_must_define_fuse() -> None:
    class Silent(TokenFusion):
        """Nothing."""

    assert violation("fusion", "silent", Silent) == "must define `fuse`; found that of TokenFusion"
