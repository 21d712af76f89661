from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    StepLR,
)

from bench.optimization import OPTIMIZERS, build_optimizer, build_schedule, clipping, freeze
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


def rates(
    schedule: dict[str, Any], epochs: int, steps_per_epoch: int, warmup: float = 0.0
) -> list[float]:
    """The rate before every step, and after the last."""
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=2.0)
    stepped = build_schedule(
        schedule, optimizer, epochs=epochs, steps_per_epoch=steps_per_epoch, warmup=warmup
    )
    return _stepped(optimizer, stepped, epochs * steps_per_epoch)


def _stepped(optimizer: torch.optim.Optimizer, schedule: LRScheduler, times: int) -> list[float]:
    seen = [optimizer.param_groups[0]["lr"]]
    for _ in range(times):
        optimizer.step()
        schedule.step()
        seen.append(optimizer.param_groups[0]["lr"])
    return seen


def theirs(make: Callable[..., LRScheduler], times: int, **settings: Any) -> list[float]:
    """The rates of a scheduler of torch's."""
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=2.0)
    return _stepped(optimizer, make(optimizer, **settings), times)


def test_schedules_by_hand() -> None:
    assert rates({"name": "constant"}, 1, 3) == [2.0] * 4
    assert rates({"name": "cosine", "final": 0.0}, 2, 2) == pytest.approx(
        [2, 1 + 0.5**0.5, 1, 1 - 0.5**0.5, 0]
    )
    assert rates({"name": "cosine", "final": 0.5}, 1, 2) == pytest.approx([2, 1.5, 1])
    assert rates({"name": "exponential", "factor": 0.25}, 1, 2) == pytest.approx([2, 1, 0.5])
    halves = {"name": "step", "every": 2, "factor": 0.5}
    assert rates(halves, 3, 2) == [2, 2, 2, 2, 1, 1, 1]


def test_at_the_ends_of_epochs_schedules_are_those_of_torch() -> None:
    for schedule, make, settings in (
        ({"name": "exponential", "factor": 0.9}, ExponentialLR, {"gamma": 0.9}),
        ({"name": "step", "every": 3, "factor": 0.2}, StepLR, {"step_size": 3, "gamma": 0.2}),
        ({"name": "cosine", "final": 0.1}, CosineAnnealingLR, {"T_max": 8, "eta_min": 0.2}),
    ):
        assert rates(schedule, 8, 7)[::7] == pytest.approx(theirs(make, 8, **settings))


@pytest.mark.parametrize("steps_per_epoch", [1, 3, 7, 10, 49, 93])
def test_a_step_falls_on_the_first_step_of_its_epoch(steps_per_epoch: int) -> None:
    seen = rates({"name": "step", "every": 3, "factor": 0.5}, 30, steps_per_epoch)
    assert seen == [2 * 0.5 ** (k // (3 * steps_per_epoch)) for k in range(len(seen))]


def test_the_progress_of_a_schedule_is_rounded_once() -> None:
    # 0.3 / 3 and 3 / 30 differ as floats; the rate is that of the exact share.
    for epochs, steps in ((3, 10), (7, 11), (5, 6)):
        shares = [k / (epochs * steps) for k in range(epochs * steps + 1)]
        expected = [2 * 0.5 * (1 + math.cos(math.pi * share)) for share in shares]
        assert rates({"name": "cosine", "final": 0.0}, epochs, steps) == expected


def test_warm_up_is_the_linear_one_of_torch_times_the_schedule() -> None:
    rise = rates({"name": "constant"}, 3, 4, warmup=1.25)
    assert rise == pytest.approx(theirs(LinearLR, 12, start_factor=1 / 5, total_iters=4))
    assert rise[:6] == pytest.approx([0.4, 0.8, 1.2, 1.6, 2, 2])
    cosine = {"name": "cosine", "final": 0.0}
    both = [c * r / 2 for c, r in zip(rates(cosine, 3, 4), rise, strict=True)]
    assert rates(cosine, 3, 4, warmup=1.25) == pytest.approx(both)
    assert rates(cosine, 3, 4, warmup=1.25)[4:] == rates(cosine, 3, 4)[4:]


def test_a_warm_up_of_less_than_half_a_step_is_none() -> None:
    assert rates({"name": "constant"}, 1, 4, warmup=0.1) == [2.0] * 5


def test_learned_weights_follow_schedule_and_warm_up() -> None:
    learned = [{"params": [nn.Parameter(torch.zeros(1))], "lr": 0.5}]
    optimizer = build_optimizer(defaults(OPTIMIZERS, "sgd"), nn.Linear(1, 1), learned)
    schedule = {"name": "step", "every": 1, "factor": 0.5}
    stepped = build_schedule(schedule, optimizer, epochs=2, steps_per_epoch=2, warmup=1.0)
    seen = []
    for _ in range(3):
        seen.append(optimizer.param_groups[1]["lr"])
        optimizer.step()
        stepped.step()
    assert seen == [0.25, 0.5, 0.25]


class Parted(nn.Module):
    """A model of one's own that names its parts."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
        self.heads = nn.ModuleDict({"a": nn.Linear(3, 1), "b": nn.Linear(3, 1)})

    def parts(self) -> dict[str, nn.Module]:
        return {"trunk": self.trunk, "heads.a": self.heads["a"], "heads.b": self.heads["b"]}

    def forward(self, x: Tensor) -> Tensor:
        y = self.trunk(x)
        return torch.cat([self.heads["a"](y), self.heads["b"](y)], 1)


SGD = {"name": "sgd", "lr": 0.1, "momentum": 0.0, "weight_decay": 0.0, "nesterov": False}


def groups(model: nn.Module, lr_scale: dict[str, float] | None) -> list[tuple[float, list[str]]]:
    names = {parameter: name for name, parameter in model.named_parameters()}
    made = build_optimizer(SGD, model, [], lr_scale).param_groups
    return [(g["lr"], [names[parameter] for parameter in g["params"]]) for g in made]


def test_without_lr_scale_there_is_one_group_in_the_order_of_the_parameters() -> None:
    model = Parted()
    names = [name for name, _ in model.named_parameters()]
    assert groups(model, None) == groups(model, {}) == [(0.1, names)]
    assert groups(model, {"heads": 1.0}) == [(0.1, names)]


def test_the_longest_name_decides_the_rate() -> None:
    trunk = ["trunk.0.weight", "trunk.0.bias", "trunk.1.weight", "trunk.1.bias"]
    a, b = (["heads.a.weight", "heads.a.bias"], ["heads.b.weight", "heads.b.bias"])
    for scale in ({"heads.b": 3.0, "heads": 2.0}, {"heads": 2.0, "heads.b": 3.0}):
        assert groups(Parted(), scale) == [
            (0.1, trunk),
            (pytest.approx(0.2), a),
            (pytest.approx(0.3), b),
        ]
    assert groups(Parted(), {"heads.a": 2.0, "trunk": 2.0})[0][1] == trunk + a


def test_a_part_that_is_not_there_is_named() -> None:
    text = "(it has: trunk, heads, heads.a, heads.b)"
    with pytest.raises(ValueError, match="`freeze`") as error:
        freeze(Parted(), ["head"])
    assert str(error.value).endswith(f"found 'head'; did you mean 'heads'? {text}")
    with pytest.raises(ValueError, match="`lr_scale` must name parts of the model; found 'heads"):
        groups(Parted(), {"heads.c": 2.0})
    # A name is whole words: `trun` is no part, though names begin with it.
    with pytest.raises(ValueError, match="found 'trun'"):
        freeze(Parted(), ["trun"])


def test_a_model_without_named_parts_is_told_so() -> None:
    with pytest.raises(ValueError, match="`freeze` needs a model that names its parts; 'Linear'"):
        freeze(nn.Linear(1, 1), ["encoders"])
    with pytest.raises(ValueError, match="`lr_scale` needs a model that names its parts"):
        groups(nn.Linear(1, 1), {"encoders": 2.0})
    freeze(nn.Linear(1, 1), [])


def test_something_must_be_left_to_train() -> None:
    model = Parted()
    freeze(model, ["trunk", "heads"])
    with pytest.raises(ValueError, match="`freeze` must leave something to train"):
        build_optimizer(SGD, model, [])


@pytest.mark.parametrize("copied", [False, True])
def test_a_frozen_part_stands_still(copied: bool) -> None:
    model = Parted()
    freeze(model, ["trunk"])
    if copied:
        model = copy.deepcopy(model)
    before = copy.deepcopy(model.state_dict())
    optimizer = build_optimizer({**SGD, "weight_decay": 0.1}, model, [], {"trunk": 5.0})
    x = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    for _ in range(2):
        assert model.eval().train() is model
        assert model.training
        assert not any(module.training for module in model.trunk.modules())
        assert model.trunk.train() is model.trunk
        assert torch.equal(model(x), model(x))  # no dropout
        optimizer.zero_grad()
        model(x).square().sum().backward()
        optimizer.step()
    after = model.state_dict()
    still = [name for name in before if torch.equal(before[name], after[name])]
    assert still == [name for name in before if name.startswith("trunk.")]


def _with_gradients(scale: float) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    made = [nn.Parameter(torch.zeros(shape)) for shape in ((3, 4), (5,), ())]
    for parameter in made:
        parameter.grad = scale * torch.randn(parameter.shape, generator=generator)
    return made


def _norm(parameters: list[nn.Parameter]) -> float:
    grads = [p.grad for p in parameters if p.grad is not None]
    return math.sqrt(sum(float(grad.double().square().sum()) for grad in grads))


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_clipping_bounds_the_norm_and_keeps_the_direction(scale: float) -> None:
    ours, reference, before = (_with_gradients(scale) for _ in range(3))
    clipping([ours], 1.5)()
    torch.nn.utils.clip_grad_norm_(reference, 1.5, foreach=False)
    assert _norm(ours) == pytest.approx(min(1.5, _norm(before)), rel=1e-5)
    factor = _norm(ours) / _norm(before)
    for mine, other, old in zip(ours, reference, before, strict=True):
        assert mine.grad is not None
        assert old.grad is not None
        torch.testing.assert_close(mine.grad, other.grad)
        torch.testing.assert_close(mine.grad, factor * old.grad)


def test_each_group_is_clipped_on_its_own() -> None:
    small, large = _with_gradients(0.01), _with_gradients(100.0)
    frozen, unused = (nn.Parameter(torch.zeros(2), requires_grad=b) for b in (False, True))
    clipping([small, [*large, frozen, unused], [frozen]], 1.5)()
    assert _norm(small) == _norm(_with_gradients(0.01))
    assert _norm(large) == pytest.approx(1.5, rel=1e-5)
    assert frozen.grad is None
    assert unused.grad is None
