from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtmm.encoders.lstm import LSTM
from mtmm.spec import Modality

PAD_ID = 3


def _build(length: int, *, hidden: int | None = None, layers: int = 1) -> LSTM:
    modality = Modality(name="t", kind="text", shape=(length,), vocabulary=11, pad_id=PAD_ID)
    torch.manual_seed(0)
    return LSTM(modality, 6, embedding=5, hidden=hidden, layers=layers).eval()


def _encode(encoder: LSTM, x: Tensor) -> Tensor:
    vector: Tensor = encoder(x, x != PAD_ID).vector
    return vector


TEXTS = torch.tensor([[1, 2, 4, 5], [7, 3, 3, 3], [8, 9, 3, 3], [3, 3, 3, 3]])


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_nothing(layers: int, training: bool) -> None:
    encoder = _build(4, layers=layers)
    with torch.set_grad_enabled(training):
        short = _encode(encoder, TEXTS)
        for more in (1, 5, 40):
            assert torch.equal(_encode(encoder, F.pad(TEXTS, (0, more), value=PAD_ID)), short)


def test_padding_changes_no_gradient() -> None:
    gradients = []
    for more in (0, 9):
        encoder = _build(4)
        total = _encode(encoder, F.pad(TEXTS, (0, more), value=PAD_ID)).square().sum()
        gradients.append(torch.autograd.grad(total, list(encoder.parameters())))
    torch.testing.assert_close(*gradients)


def test_a_text_without_words_gives_0_and_finite_gradients() -> None:
    encoder = _build(4)
    vector = _encode(encoder, TEXTS)
    assert torch.equal(vector[3], torch.zeros(6))
    assert (vector[:3] != 0).all()
    total = _encode(encoder, TEXTS[3:]).sum()
    gradients = torch.autograd.grad(total, list(encoder.parameters()))
    assert all((gradient == 0).all() for gradient in gradients)


def test_the_feature_is_the_top_state_after_the_last_word() -> None:
    encoder = _build(4, layers=2)
    table, lstm = encoder.stages["embedding"].table, encoder.stages["recurrence"].network
    assert isinstance(table, nn.Embedding)
    assert isinstance(lstm, nn.LSTM)
    for text, length in zip(TEXTS, (4, 1, 2), strict=False):
        _, (state, _) = lstm(table(text[None, :length]))
        torch.testing.assert_close(_encode(encoder, text[None]), state[-1])


def test_without_a_mask_the_last_position_counts() -> None:
    encoder = _build(4)
    assert torch.equal(encoder(TEXTS[:1], None).vector, _encode(encoder, TEXTS[:1]))


@pytest.mark.parametrize(("hidden", "layers", "dim"), [(None, 1, 6), (4, 1, 4), (4, 3, 4)])
def test_parameters_by_hand(hidden: int | None, layers: int, dim: int) -> None:
    encoder = _build(4, hidden=hidden, layers=layers)
    assert encoder.dim == dim
    first = 4 * dim * (5 + dim + 2)
    further = (layers - 1) * 4 * dim * (dim + dim + 2)
    assert sum(p.numel() for p in encoder.parameters()) == 11 * 5 + first + further
