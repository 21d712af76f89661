from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import cohen_kappa_score
from torch import Tensor
from torchmetrics.functional.classification import multiclass_cohen_kappa

from mtmm.heads.ordinal import Ordinal, OrdinalHead
from mtmm.spec import Features, Task
from tests.mtmm.heads.measuring import measure

TASK = Task(name="t", kind="ordinal", classes=5)
OBJECTIVE = Ordinal(TASK)
CPU = torch.device("cpu")


def _sample(size: int = 80) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of a score and thresholds, ranks that go along with it, and which are labelled."""
    generator = torch.Generator().manual_seed(0)
    score = 2 * torch.randn(size, generator=generator)
    target = (score + torch.randn(size, generator=generator)).round().clamp(-2, 2).long() + 2
    thresholds = torch.tensor([1.5, 0.5, -0.5, -1.5])
    return score[:, None] + thresholds, target, torch.rand(size, generator=generator) > 0.3


def _measure(output: Tensor, target: Tensor, labelled: Tensor, parts: int = 1) -> dict[str, float]:
    return measure(OBJECTIVE, output, target, labelled, parts)


def test_metrics_are_those_of_two_libraries() -> None:
    output, target, labelled = _sample()
    found = _measure(output, target, labelled)
    rank, known = (output[labelled] > 0).sum(1), target[labelled]
    kappa = multiclass_cohen_kappa(rank, known, num_classes=5, weights="quadratic")
    assert found["kappa"] == pytest.approx(float(kappa), rel=1e-5)
    assert found["kappa"] == pytest.approx(
        cohen_kappa_score(known.numpy(), rank.numpy(), weights="quadratic")
    )
    assert found["mae"] == pytest.approx(float((rank - known).abs().double().mean()))
    assert found["accuracy"] == pytest.approx(float((rank == known).double().mean()))
    assert 0.3 < found["kappa"] < 1


def test_the_loss_is_a_cross_entropy_for_every_threshold() -> None:
    output, target, labelled = _sample()
    expected = sum(
        F.binary_cross_entropy_with_logits(output[labelled, k], (target[labelled] > k).float())
        for k in range(4)
    )
    assert isinstance(expected, Tensor)
    torch.testing.assert_close(OBJECTIVE.loss(output, target, labelled), expected)
    assert _measure(output, target, labelled)["loss"] == pytest.approx(float(expected), rel=1e-6)


def test_metrics_come_from_sums_and_do_not_depend_on_batches() -> None:
    assert _measure(*_sample()) == pytest.approx(_measure(*_sample(), parts=7))


def test_what_unlabelled_samples_hold_never_matters() -> None:
    output, target, labelled = _sample()
    other, changed = torch.where(labelled, target, -1), torch.where(labelled[:, None], output, 1e9)
    assert torch.equal(
        OBJECTIVE.loss(output, target, labelled), OBJECTIVE.loss(changed, other, labelled)
    )
    assert _measure(output, target, labelled) == _measure(changed, other, labelled)


def test_the_constant_is_the_median_rank_which_no_other_beats() -> None:
    _, target, labelled = _sample()
    constant = OBJECTIVE.constant(target, labelled)
    errors = [
        float((target[labelled] - rank).abs().double().mean()) for rank in range(TASK.classes)
    ]
    output = constant.expand(len(target), -1)
    assert _measure(output, target, labelled)["mae"] == pytest.approx(min(errors))
    assert _measure(output, target, labelled)["kappa"] == 0


def test_one_class_alone_has_no_agreement_beyond_chance() -> None:
    target = torch.full((6,), 3)
    output = OBJECTIVE.constant(target, target > 0).expand(6, -1)
    assert _measure(output, target, target > 0)["kappa"] == 0


def test_targets_must_be_ranks() -> None:
    there = torch.ones(2, dtype=torch.bool)
    assert OBJECTIVE.unfit(torch.tensor([0, 4]), there) is None
    assert OBJECTIVE.unfit(torch.tensor([0, 5]), there) == "0 to 4 where labelled; found 0 to 5"


def test_the_head_ranks_by_one_score() -> None:
    torch.manual_seed(0)
    head = OrdinalHead(3, TASK)
    logits = head(Features(vector=10 * torch.randn(50, 3)))
    assert logits.shape == (50, 4)
    assert (logits.diff(dim=1) < 0).all()
    assert set((logits > 0).sum(1).tolist()) >= {0, 4}
