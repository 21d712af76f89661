from __future__ import annotations

import pytest
import torch

from mtmm.attention import Layer
from mtmm.encoders.transformer import Transformer
from mtmm.spec import Modality

TEXT = Modality(name="t", kind="text", shape=(4,), vocabulary=9)


def test_the_number_of_parameters() -> None:
    encoder = Transformer(TEXT, 8, layers=3)
    expected = 9 * 8 + 4 * 8 + 3 * Layer.parameter_count(8) + 2 * 8
    assert sum(p.numel() for p in encoder.parameters()) == expected


def test_tokens_are_those_of_the_last_layer() -> None:
    encoder = Transformer(TEXT, 8, layers=2).eval()
    x = torch.tensor([[1, 2, 3, 0]])
    state = encoder.stages["tokens"](x, x != 0)
    for layer in ("layer1", "layer2"):
        state = encoder.stages[layer](*state)
    tokens = encoder(x, x != 0).tokens
    assert tokens is not None
    assert torch.equal(tokens, state.x)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="`heads` must divide the width of tokens, 6; found 4"):
        Transformer(TEXT, 6)
