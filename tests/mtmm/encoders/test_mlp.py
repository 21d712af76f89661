from __future__ import annotations

import torch
from torch import nn

from mtmm.encoders.identity import Identity
from mtmm.encoders.mlp import MLP
from mtmm.spec import Modality

VECTOR = Modality(name="age", kind="vector", shape=(5,))


def test_layers_are_stages_and_the_last_has_the_width_of_the_model() -> None:
    encoder = MLP(VECTOR, 4, layers=3, hidden=7)
    assert list(encoder.stages) == ["fc1", "fc2", "fc3"]
    sizes = [m.weight.shape for m in encoder.modules() if isinstance(m, nn.Linear)]
    assert sizes == [(7, 5), (7, 7), (4, 7)]


def test_dropout_acts_in_training_only() -> None:
    encoder = MLP(VECTOR, 64, dropout=0.5)
    x = torch.randn(3, 5)
    assert not torch.equal(encoder(x).vector, encoder(x).vector)
    encoder.eval()
    assert torch.equal(encoder(x).vector, encoder(x).vector)


def test_identity_is_the_vector_itself() -> None:
    x = torch.randn(3, 5)
    encoder = Identity(VECTOR, 64)
    assert torch.equal(encoder(x).vector, x)
    assert encoder.dim == 5
    assert list(encoder.parameters()) == []
