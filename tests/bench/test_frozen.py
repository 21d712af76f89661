"""Features of frozen encoders are computed once, and training is the same without."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision import models

from bench import frozen, training
from bench.frozen import freeze_features
from bench.selection import select
from bench.training import build_step, train
from bench.variant import resolve_variant
from mtmm.data import DATASETS
from mtmm.encoders import ENCODERS
from mtmm.encoders.base import State
from mtmm.encoders.lenet import LeNet
from mtmm.model import PathModel
from mtmm.settings import Problem
from mtmm.spec import DataBundle, Features, in_memory
from tests.conftest import SUITE

CPU = torch.device("cpu")
ALL = {"train.freeze": ["encoders"]}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own, in which the glyphs are those drawn before."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("MTMM_CACHE", str(folder))
    return folder


def resolved(**changes: Any) -> dict[str, Any]:
    """The small suite's base with these settings, by dotted path."""
    raw = copy.deepcopy(SUITE)
    for path, value in changes.items():
        place: dict[str, Any] = raw
        *above, last = path.split(".")
        for key in above:
            place = place.setdefault(key, {})
        place[last] = value
    for key in ("name", "question", "sweep", "seeds", "timing"):
        del raw[key]
    problems: list[Problem] = []
    config = resolve_variant(raw, problems)
    assert not problems
    return config


def assert_alike(one: Any, other: Any) -> None:
    """Numbers are equal but for the order in which batches of other sizes are added up."""
    if isinstance(one, dict):
        kept = [key for key in one if key not in ("seconds", "features_s")]
        assert kept == [key for key in other if key not in ("seconds", "features_s")]
        for key in kept:
            assert_alike(one[key], other[key])
    elif isinstance(one, list):
        for mine, theirs in zip(one, other, strict=True):
            assert_alike(mine, theirs)
    else:
        assert one == pytest.approx(other, rel=1e-4, abs=1e-5)


def files(cache: Path) -> list[Path]:
    return sorted(cache.glob("features-train-*.pt"))


@pytest.mark.parametrize(
    "fusion", ["concat", "film", "cross_attention", "bottleneck", "late_mean_logit", "mixture"]
)
def test_training_is_the_same_when_every_step_runs_the_encoders(
    fusion: str, bundle: DataBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = resolved(**ALL, **{"model.fusion": fusion, "train.modality_dropout": 0.3})
    once = train(config, bundle, seed=0, device=CPU)
    assert once["features_s"] > 0
    monkeypatch.setattr(frozen, "_MOST_BYTES", 0)
    every_step = train(config, bundle, seed=0, device=CPU)
    assert "features_s" not in every_step
    assert_alike(once, every_step)


@pytest.mark.parametrize("fusion", ["concat", "cross_attention"])
def test_paths_with_other_weights_have_their_own_features(
    fusion: str, bundle: DataBundle, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = resolved(**ALL, **{"model.fusion": fusion, "model.sharing": "separate"})
    once = train(config, bundle, seed=0, device=CPU)
    assert len(files(cache)) == 4  # two modalities of two tasks
    monkeypatch.setattr(frozen, "_MOST_BYTES", 0)
    assert_alike(once, train(config, bundle, seed=0, device=CPU))


def test_it_equals_training_with_a_rate_of_zero(bundle: DataBundle) -> None:
    still = train(resolved(**ALL), bundle, seed=0, device=CPU)
    # No weight moves by a rate of 10⁻³⁰ times 10⁻²: that is the smallest a suite can set.
    slow = train(resolved(**{"train.lr_scale": {"encoders": 1e-30}}), bundle, seed=0, device=CPU)
    assert_alike(still, slow)


def test_a_second_fusion_reads_what_the_first_has_computed(
    bundle: DataBundle, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(resolved(**ALL, **{"model.fusion": "concat"}), bundle, seed=0, device=CPU)
    made = files(cache)
    assert len(made) == 2  # one for each modality
    monkeypatch.setattr(frozen, "_BATCH", None)  # no split can be gone through
    train(resolved(**ALL, **{"model.fusion": "film"}), bundle, seed=0, device=CPU)
    assert files(cache) == made


def test_features_of_other_weights_data_or_numbers_are_others(
    bundle: DataBundle, cache: Path
) -> None:
    train(resolved(**ALL), bundle, seed=0, device=CPU)
    train(resolved(**ALL), bundle, seed=1, device=CPU)  # random weights of another seed
    assert len(files(cache)) == 4
    train(resolved(**ALL, **{"numerics.precision": "bf16"}), bundle, seed=0, device=CPU)
    assert len(files(cache)) == 6
    fewer = DATASETS["glyphs"](word_dropout=0.5, limit=200)
    train(
        resolved(**ALL, **{"dataset.limit": 200}),
        fewer.select(["image", "text"], ["script", "slant"]),
        seed=0,
        device=CPU,
    )
    assert len(files(cache)) == 8


def test_separate_paths_with_the_same_weights_share_their_features(
    bundle: DataBundle, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    torch.save(models.mobilenet_v3_small().state_dict(), tmp_path / "net.pth")
    encoder = {"name": "torchvision", "model": "mobilenet_v3_small"}
    changes = {
        "model.encoders.image": {**encoder, "weights": str(tmp_path / "net.pth")},
        "model.sharing": "separate",
        "train.freeze": ["encoders.image"],
    }
    once = train(resolved(**changes), bundle, seed=0, device=CPU)
    assert len(files(cache)) == 1  # of both tasks' paths
    monkeypatch.setattr(frozen, "_MOST_BYTES", 0)
    every_step = train(resolved(**changes), bundle, seed=0, device=CPU)
    assert_alike(once, every_step)


@pytest.mark.parametrize(
    "changes",
    [
        {"train.freeze": ["heads"]},
        {"train.freeze": ["encoders"], "model.sharing": "mmoe"},
        {"train.freeze": ["encoders"], "model.sharing": "cross_stitch"},
    ],
)
def test_of_other_models_nothing_changes(changes: dict[str, Any], bundle: DataBundle) -> None:
    config = resolved(**changes)
    step = build_step(config, bundle, seed=0, device=CPU)
    made = freeze_features(config, step.model, bundle, step.around, CPU)
    assert made.modalities == ()
    assert made.bundle is bundle


def test_only_the_frozen_one_of_two_encoders_is_replaced_until_restored(
    bundle: DataBundle,
) -> None:
    config = resolved(**{"train.freeze": ["encoders.text"]})
    step = build_step(config, bundle, seed=0, device=CPU)
    assert isinstance(step.model, PathModel)
    step.model.eval()
    batch = in_memory(bundle.test)
    before = step.model(batch.inputs, batch.present).outputs
    made = freeze_features(config, step.model, bundle, step.around, CPU)
    assert made.modalities == ("text",)
    assert [m.kind for m in made.bundle.modalities] == ["image", "vector"]
    seen = in_memory(made.bundle.test)
    assert torch.equal(seen.inputs["image"], batch.inputs["image"])
    for task, output in step.model(seen.inputs, seen.present).outputs.items():
        torch.testing.assert_close(output, before[task])
    made.restore()
    for task, output in step.model(batch.inputs, batch.present).outputs.items():
        torch.testing.assert_close(output, before[task], rtol=0, atol=0)


def test_noise_meets_the_inputs_not_the_features(
    bundle: DataBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = resolved(**ALL, **{"robustness.noise": [1.0], "robustness.subsets": "all"})
    once = train(config, bundle, seed=0, device=CPU)
    monkeypatch.setattr(frozen, "_MOST_BYTES", 0)
    every_step = train(config, bundle, seed=0, device=CPU)
    assert_alike(once["robustness"], every_step["robustness"])


def test_an_encoder_that_reads_its_stages_in_its_own_way_runs_in_every_step(
    bundle: DataBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Halved(LeNet):
        def read(self, trail: Mapping[str, State]) -> Features:
            made = super().read(trail)
            return replace(made, vector=made.vector / 2)

    monkeypatch.setitem(ENCODERS, "lenet", Halved)
    config = resolved(**{"train.freeze": ["encoders.image"]})
    step = build_step(config, bundle, seed=0, device=CPU)
    assert freeze_features(config, step.model, bundle, step.around, CPU).modalities == ()


def test_batches_from_workers_have_the_same_features(bundle: DataBundle) -> None:
    resident = train(resolved(**ALL), bundle, seed=0, device=CPU)
    loaded = train(resolved(**ALL, **{"train.loader_workers": 0}), bundle, seed=0, device=CPU)
    assert "features_s" in loaded
    assert_alike(resident, loaded)


def test_it_goes_on_from_a_checkpoint(
    bundle: DataBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = resolved(**ALL, **{"train.checkpoint": 0.0, "train.epochs": 3})
    whole = train(config, bundle, seed=0, device=CPU)

    epochs: list[int] = []

    def killed(*arguments: Any) -> None:
        select(*arguments)
        epochs.append(0)
        if len(epochs) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "select", killed)
    with pytest.raises(KeyboardInterrupt):
        train(config, bundle, seed=0, device=CPU, checkpoint=tmp_path / "cell.pt")
    monkeypatch.setattr(training, "select", select)
    assert (tmp_path / "cell.pt").exists()
    assert_alike(whole, train(config, bundle, seed=0, device=CPU, checkpoint=tmp_path / "cell.pt"))
