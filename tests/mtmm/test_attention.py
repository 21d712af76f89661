from __future__ import annotations

import pytest
import torch
from torch import nn

from mtmm.attention import Attention, Layer, masked_mean


def test_attention_is_that_of_torch() -> None:
    torch.manual_seed(0)
    ours, theirs = Attention(12, 3).double(), nn.MultiheadAttention(12, 3, batch_first=True)
    theirs = theirs.double()
    with torch.no_grad():
        weights = [ours.query.weight, ours.key.weight, ours.value.weight]
        theirs.in_proj_weight.copy_(torch.cat(weights))
        biases = [ours.query.bias, torch.zeros(12), ours.value.bias]
        theirs.in_proj_bias.copy_(torch.cat(biases))
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.zero_()
    x, context = torch.randn(4, 5, 12).double(), torch.randn(4, 7, 12).double()
    mask = torch.rand(4, 7) > 0.4
    mask[:, 0] = True
    expected, _ = theirs(x, context, context, key_padding_mask=~mask)
    torch.testing.assert_close(ours(x, context, mask), expected)


def test_a_sample_without_a_real_token_gets_0_and_finite_gradients() -> None:
    attention = Attention(8, 2)
    x = torch.randn(3, 4, 8, requires_grad=True)
    mask = torch.ones(3, 4, dtype=torch.bool)
    mask[1] = False
    out = attention(x, x, mask)
    assert (out[1] == 0).all()
    assert (out[0] != 0).all()
    out.square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_parameter_counts() -> None:
    for made, count in ((Attention(12, 3), Attention), (Layer(12, 3), Layer)):
        assert sum(p.numel() for p in made.parameters()) == count.parameter_count(12)


def test_every_parameter_of_a_layer_gets_a_gradient() -> None:
    layer = Layer(8, 2)
    (layer(torch.randn(3, 4, 8)) * torch.randn(3, 4, 8)).sum().backward()
    assert all(p.grad is not None and (p.grad != 0).any() for p in layer.parameters())


def test_the_mean_is_over_real_tokens() -> None:
    x = torch.tensor([[[1.0], [3.0], [float("nan")]], [[5.0], [5.0], [5.0]]])
    mask = torch.tensor([[True, True, False], [False, False, False]])
    assert masked_mean(x, mask).tolist() == [[2.0], [0.0]]
    assert masked_mean(x[1:], None).item() == pytest.approx(5.0)
