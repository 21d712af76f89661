from __future__ import annotations

from typing import Any, cast, get_args

import pytest
import torch
from torch import Tensor

from mtmm.data import DATASETS
from mtmm.data.interactions import Kind, bayes_accuracy, build, describe
from mtmm.spec import Batch, in_memory

NOISE = 0.5
MANY = 200_000
TOLERANCE = 4 * 0.5 / MANY**0.5  # four standard errors at most


def _test(kind: str, **settings: Any) -> Batch:
    return in_memory(build(kind=cast(Kind, kind), test=MANY, **settings).test)


def _best_guess(task: str, first: Tensor, second: Tensor, sees: tuple[str, ...]) -> Tensor:
    """The class that Bayes' rule gives, from the coordinate of the task."""
    if task == "synergy" and len(sees) == 2:
        return ((first > 0) != (second > 0)).long()
    evidence = torch.zeros_like(first)
    if "first" in sees and task != "synergy":
        evidence = evidence + first
    if "second" in sees and task == "redundant":
        evidence = evidence + second
    return (evidence > 0).long()


@pytest.mark.parametrize("sees", [("first", "second"), ("first",), ("second",)])
@pytest.mark.parametrize("task", ["redundant", "unique", "synergy"])
def test_the_best_rule_scores_the_closed_form(task: str, sees: tuple[str, ...]) -> None:
    batch = _test(task)
    x, y = batch.inputs["first"][:, 0], batch.inputs["second"][:, 0]
    right = (_best_guess(task, x, y, sees) == batch.targets[task]).double().mean().item()
    assert right == pytest.approx(bayes_accuracy(task, NOISE, sees), abs=TOLERANCE)


def test_the_figures_of_the_closed_forms() -> None:
    assert bayes_accuracy("synergy") == pytest.approx(0.99994, abs=1e-5)
    assert bayes_accuracy("redundant") == pytest.approx(0.99766, abs=1e-5)
    assert bayes_accuracy("unique") == pytest.approx(0.97725, abs=1e-5)
    assert bayes_accuracy("redundant", modalities=["second"]) == pytest.approx(0.97725, abs=1e-5)
    assert bayes_accuracy("redundant", modalities=[]) == 0.5
    with pytest.raises(ValueError, match="`task` must be redundant, unique or synergy"):
        bayes_accuracy("parity")


def test_mixed_has_all_tasks_on_coordinates_of_their_own() -> None:
    batch = _test("mixed")
    assert list(batch.targets) == ["redundant", "unique", "synergy"]
    for place, task in enumerate(batch.targets):
        x, y = batch.inputs["first"][:, place], batch.inputs["second"][:, place]
        both = ("first", "second")
        right = (_best_guess(task, x, y, both) == batch.targets[task]).double().mean().item()
        assert right == pytest.approx(bayes_accuracy(task), abs=TOLERANCE)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_labels_are_balanced_and_the_splits_differ(kind: str) -> None:
    bundle = build(kind=cast(Kind, kind), train=2000, val=2000, test=2000)
    splits = [in_memory(split) for split in (bundle.train, bundle.val, bundle.test)]
    for split in splits:
        for target in split.targets.values():
            assert target.double().mean().item() == pytest.approx(0.5, abs=0.06)
    rows = [tuple(row) for split in splits for row in split.inputs["first"].tolist()]
    assert len(set(rows)) == 6000


def test_the_same_settings_give_the_same_data() -> None:
    first, again, other = build(), build(), build(seed=1)
    for name in ("first", "second"):
        assert torch.equal(in_memory(first.train).inputs[name], in_memory(again.train).inputs[name])
        assert not torch.equal(
            in_memory(first.train).inputs[name], in_memory(other.train).inputs[name]
        )
    assert describe() == DATASETS["interactions"].describe()
    assert len({describe(seed=seed).fingerprint for seed in range(3)}) == 3
    assert describe(noise=0.4).fingerprint != describe().fingerprint


def test_the_registry_builds_it_as_described() -> None:
    assert DATASETS["interactions"](kind="mixed", dim=5).modality("first").shape == (5,)
