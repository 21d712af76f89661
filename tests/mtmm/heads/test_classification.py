from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mtmm.heads.classification import Classification, ClassificationHead, balanced_weights
from mtmm.spec import IGNORED, Features, Task
from tests.mtmm.heads.measuring import measure

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
    return measure(OBJECTIVE, output, target, labelled, parts)


def test_the_loss_is_cross_entropy_of_the_labelled_samples() -> None:
    output, target, labelled = _sample()
    expected = F.cross_entropy(output[labelled], target[labelled])
    torch.testing.assert_close(OBJECTIVE.loss(output, target, labelled), expected)
    assert _measure(output, target, labelled)["loss"] == pytest.approx(expected.item(), rel=1e-6)


WEIGHTS = [0.5, 2.0, 1e-4, 0.0]


def test_the_weighted_loss_is_the_weighted_mean_of_torch() -> None:
    output, target, labelled = _sample()
    weighted = OBJECTIVE.weighted(WEIGHTS, target, labelled)
    expected = F.cross_entropy(output[labelled], target[labelled], weight=torch.tensor(WEIGHTS))
    torch.testing.assert_close(weighted.loss(output, target, labelled), expected)
    assert not torch.isclose(OBJECTIVE.loss(output, target, labelled), expected)
    # Weights are relative: however small, they are no reason to divide by anything else.
    tiny = OBJECTIVE.weighted([1e-6 * w for w in WEIGHTS], target, labelled)
    torch.testing.assert_close(tiny.loss(output, target, labelled), expected)


def test_equal_weights_change_nothing() -> None:
    output, target, labelled = _sample()
    weighted = OBJECTIVE.weighted([3.0] * 4, target, labelled)
    torch.testing.assert_close(
        weighted.loss(output, target, labelled), OBJECTIVE.loss(output, target, labelled)
    )


@pytest.mark.parametrize("wrong", [IGNORED, 0, 999])
def test_unlabelled_samples_have_no_weight(wrong: int) -> None:
    output, target, labelled = _sample()
    weighted = OBJECTIVE.weighted(WEIGHTS, target, labelled)
    other = torch.where(labelled, target, wrong)
    assert torch.equal(
        weighted.loss(output, other, labelled), weighted.loss(output, target, labelled)
    )


def test_without_a_sample_of_weight_the_loss_is_0() -> None:
    output, target, labelled = _sample()
    output.requires_grad_()
    weighted = OBJECTIVE.weighted([0.0, 0.0, 0.0, 1.0], target, labelled)  # class 3 never occurs
    for there in (labelled, torch.zeros_like(labelled)):
        loss = weighted.loss(output, target, there)
        assert loss.item() == 0
        assert (torch.autograd.grad(loss, output)[0] == 0).all()


def test_only_the_training_loss_is_weighted() -> None:
    output, target, labelled = _sample()
    weighted = OBJECTIVE.weighted(WEIGHTS, target, labelled)
    measured = weighted.measure(weighted.update(weighted.sums(CPU), output, target, labelled))
    assert measured == _measure(output, target, labelled)
    assert torch.equal(weighted.constant(target, labelled), OBJECTIVE.constant(target, labelled))


def test_balanced_weights_by_hand() -> None:
    target = torch.tensor([0, 0, 0, 0, 0, 0, 2, 2, 3])
    # 9 samples, 3 of 4 classes occur: 9 / (3 n_k).
    assert balanced_weights(target, 4).tolist() == [0.5, 0.0, 1.5, 3.0]
    assert balanced_weights(target[:0], 4).tolist() == [0.0] * 4


def test_balanced_weights_come_from_labelled_samples_alone() -> None:
    output, target, labelled = _sample()
    weighted = OBJECTIVE.weighted("balanced", torch.where(labelled, target, 0), labelled)
    assert weighted.class_weights is not None
    truth = target[labelled]
    mass = torch.stack([(truth == k).sum() * weighted.class_weights[k] for k in range(4)])
    torch.testing.assert_close(mass, torch.tensor([1.0, 1.0, 1.0, 0.0]) * len(truth) / 3)
    # Every class that occurs counts the same: the loss is the mean of the classes' means.
    means = [
        F.cross_entropy(output[labelled][truth == k], truth[truth == k]) for k in truth.unique()
    ]
    torch.testing.assert_close(weighted.loss(output, target, labelled), torch.stack(means).mean())


@pytest.mark.parametrize(
    "weights", [[1.0, 1.0], [1.0] * 5, [0.0] * 4, [1.0, 1.0, 1.0, -1.0], [1.0, 1.0, 1.0, math.nan]]
)
def test_weights_that_do_not_fit_are_refused(weights: list[float]) -> None:
    _, target, labelled = _sample()
    with pytest.raises(ValueError, match="`class_weights` of task 't' needs 4 finite numbers"):
        OBJECTIVE.weighted(weights, target, labelled)


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
