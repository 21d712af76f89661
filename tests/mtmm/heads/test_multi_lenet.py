from __future__ import annotations

import torch
import torch.nn.functional as F

from mtmm.heads.multi_lenet import MultiLeNetHead
from mtmm.spec import Features, Task

TASK = Task(name="left", kind="classification", classes=10)


def test_two_heads_have_the_parameters_of_the_benchmark() -> None:
    head = MultiLeNetHead(50, TASK)
    assert 2 * sum(p.numel() for p in head.parameters()) == 2 * (2_550 + 510) == 6_120


def test_it_is_what_one_would_write_by_hand() -> None:
    torch.manual_seed(0)
    head = MultiLeNetHead(50, TASK).eval()
    z = torch.randn(4, 50)
    w1, b1, w2, b2 = head.parameters()
    by_hand = F.linear(F.relu(F.linear(z, w1, b1)), w2, b2)
    assert torch.allclose(head(Features(vector=z)), by_hand, atol=1e-6)
