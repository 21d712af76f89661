from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mtmm.heads.classification import Classification, ClassificationHead
from mtmm.spec import IGNORED, Features, Task

TASK = Task(name="t", kind="classification", classes=4)
OBJECTIVE = Classification(TASK)
CPU = torch.device("cpu")


def _sample(size: int = 40) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, targets (class 3 never occurs) and which are labelled; unlabelled ones IGNORED."""
    generator = torch.Generator().manual_seed(0)
    output = torch.randn(size, 4, generator=generator)
    target = torch.randint(0, 3, (size,), generator=generator)
    labelled = torch.rand(size, generator=generator) > 0.3
    return output, torch.where(labelled, target, IGNORED), labelled


def _measure(output: Tensor, target: Tensor, labelled: Tensor, parts: int = 1) -> dict[str, float]:
    sums = OBJECTIVE.sums(CPU)
    chunks = (tensor.chunk(parts) for tensor in (output, target, labelled))
    for o, t, there in zip(*chunks, strict=True):
        sums = OBJECTIVE.update(sums, o, t, there)
    return OBJECTIVE.measure(sums)


def test_the_loss_is_cross_entropy_of_the_labelled_samples() -> None:
    output, target, labelled = _sample()
    expected = F.cross_entropy(output[labelled], target[labelled])
    torch.testing.assert_close(OBJECTIVE.loss(output, target, labelled), expected)
    assert _measure(output, target, labelled)["loss"] == pytest.approx(expected.item(), rel=1e-6)


def test_unlabelled_samples_get_no_gradient_whatever_their_target() -> None:
    output, target, labelled = _sample()
    output.requires_grad_()
    gradients = []
    for wrong in (IGNORED, 0, 999):
        loss = OBJECTIVE.loss(output, torch.where(labelled, target, wrong), labelled)
        gradients.append(torch.autograd.grad(loss, output)[0])
    assert (gradients[0][~labelled] == 0).all()
    assert (gradients[0][labelled] != 0).all()
    assert torch.equal(gradients[1], gradients[0])
    assert torch.equal(gradients[2], gradients[0])
    other = torch.where(labelled, target, 999)
    detached = output.detach()
    assert _measure(detached, other, labelled) == _measure(detached, target, labelled)


def test_metrics_by_hand() -> None:
    # Class 0: 2 of 3 right, class 1: 0 of 1, class 2: 1 of 1; class 3 is only ever predicted.
    target = torch.tensor([0, 0, 0, 1, 2, 2])
    predicted = torch.tensor([0, 0, 1, 3, 2, 0])
    labelled = torch.tensor([True, True, True, True, True, False])
    measured = _measure(F.one_hot(predicted, 4).float(), target, labelled)
    assert measured["accuracy"] == pytest.approx(3 / 5)
    assert measured["balanced_accuracy"] == pytest.approx((2 / 3 + 0 + 1) / 3)


def test_metrics_against_numpy() -> None:
    output, target, labelled = (tensor.numpy() for tensor in _sample())
    truth, predicted = target[labelled], output[labelled].argmax(1)
    recalls = [np.mean(predicted[truth == k] == k) for k in np.unique(truth)]
    measured = _measure(*_sample())
    assert measured["accuracy"] == pytest.approx(np.mean(predicted == truth))
    assert measured["balanced_accuracy"] == pytest.approx(np.mean(recalls))


@pytest.mark.parametrize("parts", [2, 3, 7, 40])
def test_any_split_into_batches_gives_the_same(parts: int) -> None:
    whole, split = _measure(*_sample()), _measure(*_sample(), parts=parts)
    assert split["accuracy"] == whole["accuracy"]
    assert split["balanced_accuracy"] == whole["balanced_accuracy"]
    assert split["loss"] == pytest.approx(whole["loss"], rel=1e-6)


def test_sums_are_not_changed_in_place() -> None:
    before = OBJECTIVE.sums(CPU)
    OBJECTIVE.update(before, *_sample())
    assert all((value == 0).all() for value in before.values())


def test_the_confusion_counts_target_by_prediction() -> None:
    output = F.one_hot(torch.tensor([1, 1, 0]), 4).float()
    sums = OBJECTIVE.update(
        OBJECTIVE.sums(CPU), output, torch.tensor([2, 2, 0]), torch.ones(3, dtype=torch.bool)
    )
    expected = torch.zeros(4, 4, dtype=torch.int64)
    expected[2, 1], expected[0, 0] = 2, 1
    assert torch.equal(sums["confusion"], expected)


def test_without_a_labelled_sample_the_loss_is_0_and_metrics_are_nan() -> None:
    output, target, labelled = _sample()
    output.requires_grad_()
    loss = OBJECTIVE.loss(output, target, torch.zeros_like(labelled))
    assert loss.item() == 0
    assert (torch.autograd.grad(loss, output)[0] == 0).all()
    measured = _measure(output.detach(), target, torch.zeros_like(labelled))
    assert all(math.isnan(value) for value in measured.values())


def test_the_constant_prediction_is_the_majority_of_the_labelled() -> None:
    target = torch.tensor([3, 3, 3, 1, 1, 2, 0])
    everyone = torch.ones(7, dtype=torch.bool)
    assert OBJECTIVE.constant(target, everyone).shape == (4,)
    assert OBJECTIVE.constant(target, everyone).argmax() == 3
    some = torch.tensor([False, False, True, True, True, True, False])
    assert OBJECTIVE.constant(target, some).argmax() == 1
    tie = torch.tensor([False, False, True, True, False, True, False])
    assert OBJECTIVE.constant(target, tie).argmax() == 1
    output = OBJECTIVE.constant(target, everyone).expand(7, -1)
    assert _measure(output, target, everyone)["accuracy"] == pytest.approx(3 / 7)


def test_the_head_is_a_linear_layer() -> None:
    head = ClassificationHead(5, TASK)
    vector = torch.randn(3, 5)
    expected = vector @ head.linear.weight.T + head.linear.bias
    torch.testing.assert_close(head(Features(vector=vector)), expected)
    assert sum(p.numel() for p in head.parameters()) == 5 * 4 + 4
