"""Encoders of texts: padding and texts without words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mtmm.encoders import ENCODERS
from mtmm.encoders.base import Encoder
from mtmm.spec import Modality

PAD_ID = 3
TEXTS = torch.tensor([[1, 2, 4, 5], [7, 3, 3, 3], [8, 9, 3, 3], [3, 3, 3, 3]])
every_encoder = pytest.mark.parametrize(
    "name", [name for name, made in ENCODERS.items() if "text" in made.kinds]
)


def _build(name: str, length: int) -> Encoder:
    modality = Modality(name="t", kind="text", shape=(length,), vocabulary=11, pad_id=PAD_ID)
    torch.manual_seed(0)
    make: Callable[..., Encoder] = ENCODERS[name]
    return make(modality, 8)


def _padded(encoder: Encoder, name: str, more: int) -> tuple[Encoder, Tensor]:
    """The encoder for texts that much longer, with the same weights, and longer texts."""
    longer = _build(name, TEXTS.shape[1] + more)
    state: dict[str, Any] = encoder.state_dict()
    for key, value in state.items():
        if key.endswith("places"):  # positions of what is only padding are free
            state[key] = F.pad(value, (0, 0, 0, more), value=9.0)
    longer.load_state_dict(state)
    return longer, F.pad(TEXTS, (0, more), value=PAD_ID)


@every_encoder
@pytest.mark.parametrize("more", [1, 5, 40])
def test_padding_changes_nothing(name: str, more: int) -> None:
    encoder = _build(name, TEXTS.shape[1]).eval()
    longer, texts = _padded(encoder, name, more)
    short = encoder(TEXTS, TEXTS != PAD_ID)
    long = longer.eval()(texts, texts != PAD_ID)
    torch.testing.assert_close(long.vector, short.vector)


@every_encoder
def test_a_text_without_words_is_finite_and_constant(name: str) -> None:
    encoder = _build(name, TEXTS.shape[1])
    vector = encoder(TEXTS, TEXTS != PAD_ID).vector
    gradients = torch.autograd.grad(vector[3].sum(), list(encoder.parameters()), allow_unused=True)
    assert vector.isfinite().all()
    assert all(gradient is None or gradient.isfinite().all() for gradient in gradients)
    if name != "bag":  # whose linear layer has a bias
        assert (vector[3] == 0).all()


@every_encoder
def test_every_word_counts(name: str) -> None:
    encoder = _build(name, TEXTS.shape[1]).eval()
    before = encoder(TEXTS, TEXTS != PAD_ID).vector
    for place in range(4):
        changed = TEXTS.clone()
        changed[0, place] = 10
        after = encoder(changed, changed != PAD_ID).vector
        assert not torch.allclose(after[0], before[0]), place
        torch.testing.assert_close(after[1:], before[1:])


def test_only_the_bag_ignores_the_order_of_words() -> None:
    turned = TEXTS[:1].flip(1)
    for name in ("bag", "gru", "lstm", "transformer"):
        encoder = _build(name, TEXTS.shape[1]).eval()
        same = torch.allclose(
            encoder(TEXTS[:1], TEXTS[:1] != PAD_ID).vector,
            encoder(turned, turned != PAD_ID).vector,
            atol=1e-6,
        )
        assert same == (name == "bag"), name
