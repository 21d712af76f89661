from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from bench import evaluation
from bench.evaluation import evaluate, primary_score, task_scores, trivial
from mtmm.heads.judging import objectives
from mtmm.spec import DataBundle, ModelOutput


class Fixed(nn.Module):
    """Predicts class 1 of two or more for every sample, and counts the samples it saw."""

    def __init__(self, classes: dict[str, int]) -> None:
        super().__init__()
        self.classes, self.sizes = classes, list[int]()

    def forward(self, inputs: dict[str, Tensor], present: dict[str, Tensor]) -> ModelOutput:
        assert not self.training
        size = len(inputs["image"])
        self.sizes.append(size)
        row = {t: nn.functional.one_hot(torch.tensor(1), k) for t, k in self.classes.items()}
        return ModelOutput(outputs={t: r.float().expand(size, -1) for t, r in row.items()})


def test_metrics_do_not_depend_on_the_batches(
    bundle: DataBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = objectives(bundle.tasks)
    model = Fixed({task.name: task.classes for task in bundle.tasks})
    whole = evaluate(model, judged, bundle.train)
    monkeypatch.setattr(evaluation, "_BATCH", 7)
    parts = evaluate(model, judged, bundle.train)
    assert max(model.sizes[1:]) == 7
    assert sum(model.sizes) == 2 * len(bundle.train)
    expected = float((bundle.train.targets["slant"] == 1).double().mean())
    assert whole["slant"]["accuracy"] == expected == parts["slant"]["accuracy"]
    assert whole["slant"]["balanced_accuracy"] == 0.5
    assert parts["slant"]["loss"] == pytest.approx(whole["slant"]["loss"])
    assert model.training


def test_the_trivial_prediction_is_fitted_on_train_and_scored_on_the_split(
    bundle: DataBundle,
) -> None:
    judged = objectives(bundle.tasks)
    majority = int(bundle.train.targets["script"].bincount().argmax())
    share = float((bundle.test.targets["script"] == majority).double().mean())
    assert trivial(judged, bundle, bundle.test)["script"]["accuracy"] == share


def test_scores_by_hand(bundle: DataBundle) -> None:
    judged = objectives(bundle.tasks)
    constant = {"script": {"accuracy": 0.25}, "slant": {"accuracy": 0.5}}
    measured = {"script": {"accuracy": 0.55}, "slant": {"accuracy": 0.4}}
    scores = task_scores(judged, measured, constant)
    assert scores == pytest.approx({"script": 0.4, "slant": -0.2})
    assert primary_score(scores) == pytest.approx(0.1)


def test_no_score_where_the_constant_is_ideal(bundle: DataBundle) -> None:
    judged = objectives(bundle.select(["image"], ["slant"]).tasks)
    ideal = {"slant": {"accuracy": 1.0}}
    assert math.isnan(task_scores(judged, ideal, ideal)["slant"])
