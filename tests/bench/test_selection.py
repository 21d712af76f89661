from __future__ import annotations

import math

import torch

from bench.selection import Progress, Selection, select


def test_selection_keeps_the_weights_of_the_best_epochs_only() -> None:
    model = torch.nn.Linear(1, 1)
    progress = Progress(selections=[Selection(("a",)), Selection(("b",))])
    for epoch, (a, b) in enumerate([(0.1, 0.9), (0.3, 0.2), (0.2, 0.1)], start=1):
        torch.nn.init.constant_(model.weight, epoch)
        select(progress, model, epoch, {"a": a, "b": b})
    assert [s.epoch for s in progress.selections] == [2, 1]
    assert {epoch: float(w["weight"]) for epoch, w in progress.weights.items()} == {1: 1, 2: 2}


def test_the_first_of_equal_epochs_is_chosen_even_when_scores_are_nan() -> None:
    progress = Progress(selections=[Selection(("a",))])
    for epoch in (1, 2):
        select(progress, torch.nn.Linear(1, 1), epoch, {"a": math.nan})
    assert progress.selections[0].epoch == 1


def test_a_choice_that_has_stood_long_enough_is_final() -> None:
    model = torch.nn.Linear(1, 1)
    progress = Progress(selections=[Selection(("a",)), Selection(("b", "c"))])
    scores = [(0.5, 0.0), (0.4, 0.1), (0.5, 0.2), (0.9, 0.1), (0.9, 0.3), (0, 0.3), (0, 0)]
    seen = []
    for epoch, (a, b) in enumerate(scores, start=1):
        select(progress, model, epoch, {"a": a, "b": b, "c": b}, patience=2)
        seen.append(progress.open_tasks)
    everyone, rest = {"a", "b", "c"}, {"b", "c"}
    assert seen == [everyone, everyone, rest, rest, rest, rest, set()]
    assert [(s.epoch, s.score) for s in progress.selections] == [(1, 0.5), (5, 0.3)]
    assert set(progress.weights) == {1, 5}
