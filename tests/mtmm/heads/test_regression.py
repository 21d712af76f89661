from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torchmetrics.functional import mean_absolute_error, mean_squared_error, r2_score

from mtmm.heads.regression import Regression, RegressionHead
from mtmm.spec import Features, Task
from tests.mtmm.heads.measuring import measure

TASK = Task(name="t", kind="regression", offset=1e4, scale=20.0)
OBJECTIVE = Regression(TASK)
CPU = torch.device("cpu")


def _sample(size: int = 60) -> tuple[Tensor, Tensor, Tensor]:
    """Predictions, targets far from 0 (NaN where unknown) and which are labelled."""
    generator = torch.Generator().manual_seed(0)
    target = 1e4 + 20 * torch.randn(size, generator=generator)
    output = target + 8 * torch.randn(size, generator=generator)
    labelled = torch.rand(size, generator=generator) > 0.3
    return output, torch.where(labelled, target, math.nan), labelled


def _measure(output: Tensor, target: Tensor, labelled: Tensor, parts: int = 1) -> dict[str, float]:
    return measure(OBJECTIVE, output, target, labelled, parts)


def test_metrics_are_those_of_torchmetrics() -> None:
    output, target, labelled = _sample()
    found = _measure(output, target, labelled)
    told, known = output[labelled].double(), target[labelled].double()
    assert found["rmse"] == pytest.approx(float(mean_squared_error(told, known, squared=False)))
    assert found["mae"] == pytest.approx(float(mean_absolute_error(told, known)))
    assert found["r2"] == pytest.approx(float(r2_score(told, known)), rel=1e-6)
    assert 0.5 < found["r2"] < 1


def test_the_loss_is_in_squares_of_the_scale() -> None:
    output, target, labelled = _sample()
    expected = ((output - target)[labelled] / 20).square().mean()
    torch.testing.assert_close(OBJECTIVE.loss(output, target, labelled), expected)
    assert _measure(output, target, labelled)["loss"] == pytest.approx(float(expected), rel=1e-5)


def test_metrics_come_from_sums_and_do_not_depend_on_batches() -> None:
    assert _measure(*_sample()) == pytest.approx(_measure(*_sample(), parts=7))


def test_unknown_targets_give_no_gradient() -> None:
    output, target, labelled = _sample()
    output.requires_grad_()
    OBJECTIVE.loss(output, target, labelled).backward()
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()
    assert (output.grad[~labelled] == 0).all()


def test_the_constant_is_the_mean_which_explains_nothing() -> None:
    _, target, labelled = _sample()
    constant = OBJECTIVE.constant(target, labelled)
    found = _measure(constant.expand(len(target)), target, labelled)
    assert found["r2"] == pytest.approx(0, abs=1e-6)
    assert found["rmse"] == pytest.approx(float(target[labelled].std(correction=0)), rel=1e-4)


def test_equal_targets_have_no_variance_to_explain() -> None:
    target = torch.full((4,), 7.0)
    assert math.isnan(_measure(target, target, target > 0)["r2"])
    assert math.isnan(OBJECTIVE.measure(OBJECTIVE.sums(CPU))["rmse"])


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (torch.zeros(2, dtype=torch.int64), "floating point and [B]; found torch.int64 [2]"),
        (torch.zeros(2, 1), "floating point and [B]; found torch.float32 [2, 1]"),
        (torch.tensor([0.0, math.inf]), "finite where labelled; found inf"),
    ],
)
def test_targets_that_will_not_do(target: Tensor, text: str) -> None:
    assert OBJECTIVE.unfit(target, torch.ones(2, dtype=torch.bool)) == text


def test_the_head_predicts_in_the_unit_of_the_task() -> None:
    torch.manual_seed(0)
    head = RegressionHead(3, TASK)
    vector = torch.randn(5, 3)
    number = head(Features(vector=vector))
    assert number.shape == (5,)
    torch.testing.assert_close(number, 1e4 + 20 * head.linear(vector)[:, 0])
    assert sum(p.numel() for p in head.parameters()) == 4
