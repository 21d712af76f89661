from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.step import unmarked
from bench.timing.flops import count_flops
from bench.timing.parts import count_parts
from bench.timing.workload import WORKLOADS, first_batch
from mtmm.spec import DataBundle

B, D, H, K = 4, 8, 16, 3


class _Model(nn.Module):
    """Two encoders of which the second is frozen, a trunk used twice, and an unused head."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(D, H), nn.Linear(D, H)
        self.trunk = nn.ModuleList([nn.Linear(H, H)])
        self.head, self.unused = nn.Linear(H, K), nn.Linear(H, K)
        self.second.requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.trunk[0](self.trunk[0](self.first(x) + self.second(x)))
        return self.head(hidden), self.unused(hidden)


def test_parts_by_hand() -> None:
    model, x = _Model(), torch.randn(B, D)
    parts = {name: getattr(model, name) for name in ("first", "second", "trunk", "head", "unused")}

    def step() -> None:
        model(x)[0].sum().backward()

    encoder, trunk, head = 2 * B * D * H, 2 * B * H * H, 2 * B * H * K
    assert count_parts(step, parts) == {
        "first": {"forward": encoder, "backward": encoder},  # the input wants no gradient
        "second": {"forward": encoder, "backward": 0},  # nothing does
        "trunk": {"forward": 2 * trunk, "backward": 4 * trunk},
        "head": {"forward": head, "backward": 2 * head},
        "unused": {"forward": head, "backward": 0},  # its output goes nowhere
    }


@pytest.mark.parametrize("mode", ["train", "forward", "inference"])
@pytest.mark.parametrize("sharing", ["hard", "separate"])
def test_the_parts_of_a_model_are_all_of_it(
    mode: str, sharing: str, config: dict[str, Any], bundle: DataBundle
) -> None:
    config = {**config, "model": {**config["model"], "sharing": {"name": sharing}}}
    workload = WORKLOADS[mode](config, bundle, first_batch(bundle, 8))
    workload.step(unmarked)
    parts = count_parts(lambda: workload.step(unmarked), workload.model.parts())  # type: ignore[operator]
    whole = count_flops(lambda: workload.step(unmarked))
    assert sum(part["forward"] + part["backward"] for part in parts.values()) == whole
    assert (parts["encoders.image"]["backward"] > 0) == (mode == "train")
    assert list(parts) == [
        "encoders.image",
        "encoders.text",
        "fusion",
        "sharing",
        "heads.script",
        "heads.slant",
    ]
