from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import dropout as dropped

from bench.cell import TrainCell, timed_part
from bench.checkpoint import Checkpoint
from bench.diagnostics import Diary
from bench.step import task_losses
from bench.training import build_step, train
from mtmm.model import build_model
from mtmm.spec import DataBundle, SharedSpace

CPU = torch.device("cpu")


def with_training(config: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**config, "train": {**config["train"], **changes}}


@pytest.fixture
def dropout(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """Half of every embedding is dropped in training; the layers where that is so."""
    layers: list[nn.Module] = []

    def build(*given: Any, **more: Any) -> nn.Module:
        model = build_model(*given, **more)
        for layer in model.modules():
            if isinstance(layer, nn.Embedding):
                layer.register_forward_hook(lambda m, _, out: dropped(out, 0.5, m.training))
                layers.append(layer)
        return model

    monkeypatch.setattr("bench.training.build_model", build)
    return layers


def without_what_is_told(result: dict[str, Any]) -> dict[str, Any]:
    points = [{k: v for k, v in p.items() if k != "gradients"} for p in result["curve"]]
    return {**result, "curve": points, "seconds": 0}


def noted(
    diary: Diary,
    weight: nn.Parameter,
    step: int,
    factors: list[list[float]],
    scale: Tensor | None = None,
) -> None:
    """A step whose task gradients for `weight` are the rows of `factors`."""
    losses = [(torch.tensor(row) * weight).sum() for row in factors]
    diary.note_losses(step, losses, SharedSpace(theta={"path": (weight,)}), scale)


def test_cosines_norms_and_conflicts_are_means_over_the_steps_looked_at() -> None:
    diary, weight = Diary(["a", "b", "c"], every=2), nn.Parameter(torch.ones(2))
    noted(diary, weight, 4, [[3.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
    noted(diary, weight, 5, [[9.0, 9.0], [9.0, 9.0], [9.0, 9.0]])  # every second one
    noted(diary, weight, 6, [[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])  # a batch without labels of c
    told = diary.close_epoch()["gradients"]
    root = 1 / math.sqrt(2)
    assert told["cosines"]["a"] == pytest.approx({"b": root / 2, "c": -1})
    assert told["cosines"]["b"] == pytest.approx({"c": 0})
    assert told["norms"] == pytest.approx({"a": 2, "b": (2 + 1 / root) / 2, "c": 1})
    assert told["conflict_rate"] == pytest.approx(1 / 4)
    assert diary.close_epoch() == {}
    assert weight.grad is None


def test_an_epoch_in_which_no_two_tasks_have_gradients_tells_of_no_pairs() -> None:
    diary, weight = Diary(["a", "b"], every=1), nn.Parameter(torch.ones(2))
    noted(diary, weight, 0, [[3.0, 4.0], [0.0, 0.0]])
    assert diary.close_epoch() == {"gradients": {"norms": {"a": 5}, "cosines": {}}}
    noted(diary, weight, 1, [[0.0, 0.0], [0.0, 0.0]])
    assert diary.close_epoch() == {"gradients": {"norms": {}, "cosines": {}}}


def test_scaled_losses_are_scaled_back_and_overflows_left_out() -> None:
    diary, weight = Diary(["a", "b"], every=1), nn.Parameter(torch.ones(2))
    scale = torch.tensor(1024.0)
    noted(diary, weight, 0, [[3 * 1024.0, 0.0], [-4 * 1024.0, 0.0]], scale)
    noted(diary, weight, 1, [[math.inf, 0.0], [4 * 1024.0, 0.0]], scale)
    told = diary.close_epoch()["gradients"]
    assert told == {"norms": {"a": 3, "b": 4}, "cosines": {"a": {"b": -1}}, "conflict_rate": 1}


def test_parameters_that_stand_still_are_not_looked_at() -> None:
    diary, weight = Diary(["a", "b"], every=1), nn.Parameter(torch.ones(2))
    frozen = nn.Parameter(torch.ones(2), requires_grad=False)
    losses = [(weight * frozen)[i] for i in (0, 1)]
    diary.note_losses(0, losses, SharedSpace(theta={"path": (frozen,)}))
    assert diary.close_epoch() == {}
    diary.note_losses(0, losses, SharedSpace(theta={"path": (weight, frozen)}))
    assert diary.close_epoch()["gradients"]["norms"] == {"a": 1, "b": 1}


def test_without_an_interval_gradients_are_not_looked_at() -> None:
    diary, weight = Diary(["a"], every=None), nn.Parameter(torch.ones(2))
    noted(diary, weight, 0, [[1.0, 2.0]])
    assert diary.close_epoch() == {}


def test_weights_are_means_over_an_epoch() -> None:
    diary = Diary(["a", "b"], every=None)
    diary.note_weights(torch.tensor([1.0, 2.0]))
    diary.note_weights(torch.tensor([3.0, 2.0]))
    diary.note_weights(None)  # of a method that gives none
    assert diary.close_epoch() == {"weights": {"a": 2, "b": 2}}
    diary.note_weights(torch.tensor([5.0, 2.0]))
    assert diary.close_epoch() == {"weights": {"a": 5, "b": 2}}


@pytest.mark.parametrize("weighting", ["equal", "uncertainty", "famo", "mgda", "graddrop"])
def test_diagnostics_change_no_number_of_the_training(
    config: dict[str, Any], bundle: DataBundle, dropout: list[nn.Module], weighting: str
) -> None:
    given = {**config, "weighting": {"name": weighting}}
    plain = train(given, bundle, seed=1, device=CPU)
    told = train(with_training(given, diagnostics=2), bundle, seed=1, device=CPU)
    assert without_what_is_told(told) == without_what_is_told(plain)
    assert len(dropout) == 2
    assert set(told["curve"][0]["gradients"]["cosines"]["script"]) == {"slant"}
    assert "gradients" not in plain["curve"][0]
    assert ("fallbacks" in told) == (weighting in ("mgda", "graddrop"))
    assert ("weights" in told["curve"][0]) == (weighting != "graddrop")


def test_the_gradients_are_those_of_the_losses_before_the_step(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    step, batch = build_step(config, bundle, seed=0, device=CPU), bundle.train.take(torch.arange(9))
    losses, shared = task_losses(step.model, step.objectives, batch)
    theta = [p for group in shared.theta.values() for p in group]
    each = (torch.autograd.grad(loss, theta, retain_graph=True) for loss in losses)
    a, b = (torch.cat([gradient.flatten() for gradient in of_task]) for of_task in each)
    step.diary = Diary(tuple(step.objectives), every=1)
    step(batch)
    told = step.diary.close_epoch()["gradients"]
    assert told["norms"] == pytest.approx({"script": float(a.norm()), "slant": float(b.norm())})
    cosine = float(torch.cosine_similarity(a, b, dim=0))
    assert told["cosines"]["script"]["slant"] == pytest.approx(cosine, abs=1e-6)


def test_an_interrupted_training_looks_at_the_same_steps(
    config: dict[str, Any], bundle: DataBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = with_training(config, diagnostics=4, checkpoint=0.0, epochs=4)  # 6 steps an epoch
    whole = train(given, bundle, seed=1, device=CPU)
    save = Checkpoint.save_if_due

    def save_and_die(self: Checkpoint, state: Any) -> None:
        save(self, state)
        if len(state.progress.curve) == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save_if_due", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            train(given, bundle, seed=1, device=CPU, checkpoint=tmp_path / "cell.pt")
    resumed = train(given, bundle, seed=1, device=CPU, checkpoint=tmp_path / "cell.pt")
    assert {**resumed, "seconds": 0} == {**whole, "seconds": 0}


def test_they_are_part_of_the_identity_and_of_no_timing(config: dict[str, Any]) -> None:
    told = with_training(config, diagnostics=2)
    assert TrainCell(told, 0, "d", "cpu").id != TrainCell(config, 0, "d", "cpu").id
    assert timed_part(told) == timed_part(config)


def test_compiled_code_keeps_its_graph_for_them(
    config: dict[str, Any], bundle: DataBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[bool] = []

    def noting(numerics: Any, model: nn.Module, device: Any, *, keep_graph: bool) -> nn.Module:
        kept.append(keep_graph)
        return model

    monkeypatch.setattr("bench.training.prepare", noting)
    for given in (config, with_training(config, diagnostics=2), timed_part(config)):
        build_step(given, bundle, seed=0, device=CPU)
    assert kept == [False, True, False]
