from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from bench.optimization import OPTIMIZERS, SCHEDULES, build_optimizer, build_schedule
from mtmm.settings import settings_of


def defaults(registry: Any, name: str) -> dict[str, Any]:
    return {"name": name, **{s.name: s.default for s in settings_of(registry[name]).values()}}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_lowers_a_quadratic_and_keeps_the_learned_group(name: str) -> None:
    model, learned = nn.Linear(2, 1, bias=False), nn.Parameter(torch.zeros(3))
    group = {"params": [learned], "lr": 0.5, "weight_decay": 0.0}
    optimizer = build_optimizer({**defaults(OPTIMIZERS, name), "lr": 0.05}, model, [group])
    assert [g["lr"] for g in optimizer.param_groups] == [0.05, 0.5]
    before = model.weight.square().sum().item()
    for _ in range(20):
        optimizer.zero_grad()
        model.weight.square().sum().backward()
        optimizer.step()
    assert model.weight.square().sum().item() < before


def test_settings_reach_the_optimizer() -> None:
    config = {"name": "adamw", "lr": 0.1, "weight_decay": 0.2, "beta1": 0.3, "beta2": 0.4}
    group = build_optimizer(config, nn.Linear(1, 1), []).param_groups[0]
    assert (group["lr"], group["weight_decay"], group["betas"]) == (0.1, 0.2, (0.3, 0.4))


def rates(schedule: dict[str, Any], steps: int) -> list[float]:
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=2.0)
    stepped = build_schedule(schedule, optimizer, steps)
    seen = []
    for _ in range(steps + 1):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        stepped.step()
    return seen


def test_schedules_by_hand() -> None:
    assert set(SCHEDULES) == {"constant", "cosine"}
    assert rates({"name": "constant"}, 3) == [2.0] * 4
    assert rates({"name": "cosine", "final": 0.0}, 4) == pytest.approx(
        [2, 1 + 0.5**0.5, 1, 1 - 0.5**0.5, 0]
    )
    assert rates({"name": "cosine", "final": 0.5}, 2) == pytest.approx([2, 1.5, 1])
