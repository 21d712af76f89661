from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from mtmm.encoders.gru import GRU
from mtmm.spec import Modality

TEXT = Modality(name="t", kind="text", shape=(5,), vocabulary=9)


def test_the_feature_is_the_last_state_of_a_packed_text() -> None:
    torch.manual_seed(0)
    encoder = GRU(TEXT, 6, embedding=4, layers=2).eval()
    network = next(module for module in encoder.modules() if isinstance(module, nn.GRU))
    table = next(module for module in encoder.modules() if isinstance(module, nn.Embedding))
    x = torch.tensor([[1, 2, 3, 4, 5], [6, 7, 0, 0, 0], [8, 0, 0, 0, 0]])
    packed = pack_padded_sequence(table(x), torch.tensor([5, 2, 1]), batch_first=True)
    torch.testing.assert_close(encoder(x, x != 0).vector, network(packed)[1][-1])


def test_the_number_of_parameters() -> None:
    encoder = GRU(TEXT, 6, embedding=4)
    assert sum(p.numel() for p in encoder.parameters()) == 9 * 4 + 3 * 6 * (4 + 6 + 2)
