from __future__ import annotations

import math
import re

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.classification import (
    multilabel_accuracy,
    multilabel_f1_score,
    multilabel_recall,
    multilabel_specificity,
)

from mtmm.heads.multilabel import MultiLabel, MultiLabelHead
from mtmm.spec import Features, Task
from tests.mtmm.heads.measuring import measure

TASK = Task(name="t", kind="multilabel", classes=4)
OBJECTIVE = MultiLabel(TASK)
CPU = torch.device("cpu")


def _sample(size: int = 60) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, targets (label 3 never there, some unknown) and which samples are labelled."""
    generator = torch.Generator().manual_seed(0)
    output = torch.randn(size, 4, generator=generator)
    rates = torch.tensor([0.5, 0.2, 0.7, 0.0])
    target = (torch.rand(size, 4, generator=generator) < rates).long()
    target[::7, 0] = -1
    return output, target, torch.rand(size, generator=generator) > 0.3


def _measure(output: Tensor, target: Tensor, labelled: Tensor, parts: int = 1) -> dict[str, float]:
    return measure(OBJECTIVE, output, target, labelled, parts)


def test_metrics_are_those_of_torchmetrics() -> None:
    output, target, labelled = _sample()
    found = _measure(output, target, labelled)
    told, known = (output[labelled] > 0).long(), target[labelled]
    assert found["f1"] == pytest.approx(
        float(multilabel_f1_score(told, known, num_labels=4, average="macro", ignore_index=-1))
    )
    assert found["accuracy"] == pytest.approx(
        float(multilabel_accuracy(told, known, num_labels=4, average="micro", ignore_index=-1))
    )
    recall, other = (
        f(told, known, num_labels=4, average="none", ignore_index=-1)
        for f in (multilabel_recall, multilabel_specificity)
    )
    balanced = ((recall + other) / 2)[:3].mean()  # label 3 is never there
    assert found["balanced_accuracy"] == pytest.approx(float(balanced))


def test_the_loss_is_binary_cross_entropy_of_the_known_labels() -> None:
    output, target, labelled = _sample()
    known = labelled[:, None] & (target >= 0)
    expected = F.binary_cross_entropy_with_logits(output[known], target[known].float())
    torch.testing.assert_close(OBJECTIVE.loss(output, target, labelled), expected)
    assert _measure(output, target, labelled)["loss"] == pytest.approx(float(expected), rel=1e-6)


def test_metrics_come_from_sums_and_do_not_depend_on_batches() -> None:
    assert _measure(*_sample()) == pytest.approx(_measure(*_sample(), parts=7))


def test_what_unknown_labels_hold_never_matters() -> None:
    output, target, labelled = _sample()
    other = torch.where(labelled[:, None], target, 99)
    changed = torch.where(labelled[:, None], output, 1e9)
    assert torch.equal(
        OBJECTIVE.loss(output, target, labelled), OBJECTIVE.loss(changed, other, labelled)
    )
    assert _measure(output, target, labelled) == _measure(changed, other, labelled)


def test_balanced_weights_make_both_answers_count_the_same() -> None:
    output, target, labelled = _sample()
    weighted = OBJECTIVE.weighted("balanced", target, labelled)
    known = labelled[:, None] & (target >= 0)
    having, lacking = (((target == value) & known).sum(0) for value in (1, 0))
    assert weighted.positive_weights is not None
    torch.testing.assert_close(weighted.positive_weights[:3] * having[:3], lacking[:3].float())
    assert weighted.positive_weights[3] == 1
    expected = F.binary_cross_entropy_with_logits(
        output, target.clamp(min=0).float(), pos_weight=weighted.positive_weights, reduction="none"
    )
    torch.testing.assert_close(weighted.loss(output, target, labelled), expected[known].mean())


def test_weights_must_be_one_a_label() -> None:
    _, target, labelled = _sample()
    with pytest.raises(ValueError, match="needs 4 finite numbers of at least 0, not all 0; found"):
        OBJECTIVE.weighted([1.0, 2.0], target, labelled)


def test_the_constant_is_what_most_samples_have() -> None:
    _, target, labelled = _sample()
    constant = OBJECTIVE.constant(target, labelled)
    known = target[labelled]
    most = [float(known[known[:, label] >= 0, label].double().mean()) > 0.5 for label in range(4)]
    assert (constant > 0).tolist() == most
    assert most[1:] == [False, True, False]


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (torch.zeros(3, 4), r"integers and \[B, 4\]; found torch.float32"),
        (torch.zeros(3, 5, dtype=torch.int64), r"integers and \[B, 4\]; found torch.int64 \[3, 5"),
        (torch.full((3, 4), 2), r"1, 0 or -1 \(unknown\) where labelled; found 2 to 2"),
    ],
)
def test_targets_that_will_not_do(target: Tensor, text: str) -> None:
    wrong = OBJECTIVE.unfit(target, torch.ones(3, dtype=torch.bool))
    assert wrong is not None
    assert re.match(text, wrong)


def test_without_a_known_label_metrics_are_not_numbers_and_the_loss_is_0() -> None:
    output, target, labelled = _sample()
    assert math.isnan(OBJECTIVE.measure(OBJECTIVE.sums(CPU))["f1"])
    assert OBJECTIVE.loss(output, target, torch.zeros_like(labelled)) == 0


def test_the_head_is_linear() -> None:
    head = MultiLabelHead(3, TASK)
    assert head(Features(vector=torch.randn(5, 3))).shape == (5, 4)
