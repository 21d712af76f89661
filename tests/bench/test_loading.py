from __future__ import annotations

import multiprocessing
import re
import shutil
from collections.abc import Iterable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor
from torch.nn.functional import dropout

import bench
from bench import evaluation, training
from bench.execution.unit import build_data
from bench.loading import Loaded, Resident
from bench.plugins import load_plugins
from bench.step import TrainStep
from bench.training import build_step, train
from mtmm.consistency import check_built
from mtmm.data import DATASETS
from mtmm.data.base import Dataset
from mtmm.seeding import generator
from mtmm.spec import Batch, DataBundle, Features, in_memory

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
DOCS = Path(__file__).resolve().parents[2] / "docs"


class Lazy:
    """A split that makes its samples when they are taken."""

    def __init__(self, batch: Batch) -> None:
        self._batch, self.targets, self.labelled = batch, batch.targets, batch.labelled

    def __len__(self) -> int:
        return len(self._batch)

    def take(self, index: Tensor) -> Batch:
        return self._batch.take(index)

    def select(self, modalities: Iterable[str], tasks: Iterable[str]) -> Lazy:
        return Lazy(self._batch.select(modalities, tasks))


def lazy(bundle: DataBundle) -> DataBundle:
    train, val, test = (Lazy(in_memory(s)) for s in (bundle.train, bundle.val, bundle.test))
    return replace(bundle, train=train, val=val, test=test)


def loading(config: dict[str, Any], workers: int | None, **changes: Any) -> dict[str, Any]:
    return {**config, "train": {**config["train"], "loader_workers": workers, **changes}}


def equal(one: Batch, other: Batch) -> bool:
    return all(
        torch.equal(value, getattr(other, key)[name])
        for key in ("inputs", "targets", "present", "labelled")
        for name, value in getattr(one, key).items()
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_a_seed_gives_the_same_batches_whichever_way_they_come(
    bundle: DataBundle, workers: int
) -> None:
    on_device = Resident(bundle.train, 50, generator(0, "order"))
    order = generator(0, "order")
    loaded = Loaded(lazy(bundle).train, 50, order, workers=workers, device=CPU)
    for _ in range(2):  # with the processes of the epoch before
        pairs = [*zip(on_device.epoch(), loaded.epoch(), strict=True)]
        assert len(pairs) == len(bundle.train) // 50
        assert all(equal(*pair) for pair in pairs)
    val = zip(on_device.in_order(bundle.val, 7), loaded.in_order(bundle.val, 7), strict=True)
    assert all(equal(*pair) for pair in val)


def test_nothing_is_drawn_before_an_epoch_begins(bundle: DataBundle) -> None:
    # A checkpoint between two epochs keeps the state of the generator.
    order, same = generator(0, "order"), generator(0, "order")
    loaded = Loaded(bundle.train, 50, order, workers=0, device=CPU)
    for _ in range(2):
        assert torch.equal(order.get_state(), same.get_state())
        list(loaded.epoch())
        torch.randperm(len(bundle.train), generator=same)


def test_the_processes_end_with_what_they_load_for(bundle: DataBundle) -> None:
    loaded = Loaded(bundle.train, 50, generator(0, "order"), workers=1, device=CPU)
    batches = loaded.epoch()
    next(batches)
    assert len(multiprocessing.active_children()) == 1
    list(loaded.in_order(bundle.val, 50))
    assert len(multiprocessing.active_children()) == 1
    del batches, loaded
    assert not multiprocessing.active_children()


def test_what_a_process_raises_is_raised_here(bundle: DataBundle) -> None:
    class Broken(Lazy):
        def take(self, index: Tensor) -> Batch:
            raise OSError("the file is gone")

    broken = Broken(in_memory(bundle.train))
    loaded = Loaded(broken, 50, generator(0, "order"), workers=1, device=CPU)
    for way in (loaded.epoch(), loaded.in_order(broken, 50)):
        with pytest.raises(OSError, match="the file is gone"):
            next(way)
        assert not multiprocessing.active_children()  # though the exception is still there


def test_an_epoch_that_is_left_does_not_change_the_next(bundle: DataBundle) -> None:
    loaded = Loaded(bundle.train, 50, generator(0, "order"), workers=1, device=CPU)
    next(loaded.epoch())
    processes = multiprocessing.active_children()
    order = generator(0, "order")
    torch.randperm(len(bundle.train), generator=order)
    expected = Resident(bundle.train, 50, order).epoch()
    assert all(equal(*pair) for pair in zip(loaded.epoch(), expected, strict=True))
    assert multiprocessing.active_children() == processes  # which serve all epochs


def with_dropout(*arguments: Any, **settings: Any) -> TrainStep:
    """The step of a model whose first head drops features, drawn from the process's generator."""

    def drop(head: torch.nn.Module, inputs: tuple[Features]) -> tuple[Features]:
        (features,) = inputs
        return (replace(features, vector=dropout(features.vector, 0.5, head.training)),)

    step = build_step(*arguments, **settings)
    heads: Any = step.model.heads
    heads[0].register_forward_pre_hook(drop)
    return step


def test_a_cell_is_the_same_bit_for_bit_whichever_way_its_batches_come(
    config: dict[str, Any], bundle: DataBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = train(loading(config, None), bundle, seed=0, device=CPU)
    monkeypatch.setattr(training, "build_step", with_dropout)
    given = {"class_weights": "balanced", "max_steps": 9}
    expected = train(loading(config, None, **given), bundle, seed=0, device=CPU)
    assert expected["curve"] != plain["curve"]
    for workers in (0, 1):
        result = train(loading(config, workers, **given), lazy(bundle), seed=0, device=CPU)
        assert {**result, "seconds": 0} == {**expected, "seconds": 0}
    assert not multiprocessing.active_children()


def test_only_batches_are_moved(config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    moved, real = list[int](), Batch.to

    def note(batch: Batch, device: torch.device, *, non_blocking: bool = False) -> Batch:
        moved.append(len(batch))
        return real(batch, device, non_blocking=non_blocking)

    monkeypatch.setattr(Batch, "to", note)
    monkeypatch.setattr(evaluation, "_BATCH", 20)
    given = loading(config, 0, max_steps=1)
    bundle = build_data(given, CPU)
    assert not moved
    train(given, bundle, seed=0, device=CPU)
    assert max(moved) == 32
    assert sum(moved) == 32 + len(bundle.val) + len(bundle.test)


def test_data_that_is_not_in_memory_needs_workers_to_read_it(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    glyphs = DATASETS["glyphs"]
    on_demand = Dataset(wraps(glyphs.build)(lambda **s: lazy(glyphs.build(**s))), glyphs.describe)
    monkeypatch.setitem(DATASETS, "glyphs", on_demand)
    for folder in (None, tmp_path, tmp_path):
        with pytest.raises(ValueError, match=r"a Lazy reads .*: set `train.loader_workers` to a"):
            build_data(loading(config, None), CPU, folder)
        bundle = build_data(loading(config, 1), CPU, folder)
        assert isinstance(bundle.train, Lazy)
        assert list(bundle.train.targets) == ["script", "slant"]


@pytest.mark.usefixtures("unloaded_after")
def test_the_example_of_data_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    digit, looks = draw.integers(0, 10, 400), 200 * draw.integers(0, 2, (10, 1, 12, 12))
    (tmp_path / "data").mkdir()
    noisy = looks[digit] + draw.integers(0, 56, (400, 1, 12, 12))
    np.save(tmp_path / "data/images.npy", noisy.astype(np.uint8))
    np.save(tmp_path / "data/digits.npy", digit)
    shutil.copy(DOCS / "examples" / "my_files.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    load_plugins(["my_files.py"])
    (text,) = re.findall(
        r"```yaml\n(name: files.*?)```", (DOCS / "plugins.md").read_text(), re.DOTALL
    )
    suite = yaml.safe_load(text)
    how: dict[str, Any] = {"timing": "off", "train.batch_size": 16, "train.epochs": 8}
    frame = bench.run(suite, settings=how, results=tmp_path, device="cpu")
    assert frame["status"].tolist() == ["ok"]
    assert frame["test.digit.accuracy"].item() > 0.5
    how["train.loader_workers"] = None
    without = bench.run(suite, settings=how, results=tmp_path, device="cpu")
    assert without["status"].tolist() == ["error"]
    assert "train.loader_workers" in without["reason"].item()


def wrong(**changes: Any) -> type[Lazy]:
    return type("Wrong", (Lazy,), changes)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (wrong(take=lambda self, index: 3), "train: its `take` must return a Batch; found the"),
        (wrong(take=lambda self, index: self._batch.take(index + 1)), "`targets` of 'script' must"),
        (wrong(__len__=lambda self: 0), "train: has no sample"),
        (wrong(__len__=lambda self: 9), r"targets of 'script' must be \[9, ...\]"),
    ],
)
def test_a_split_that_is_none_is_told(bundle: DataBundle, made: type[Lazy], text: str) -> None:
    check_built(lazy(bundle), bundle)
    with pytest.raises(ValueError, match=text):
        check_built(replace(bundle, train=made(in_memory(bundle.train))), bundle)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_batches_come_to_a_gpu_from_pinned_memory(bundle: DataBundle) -> None:
    on_gpu = Resident(bundle.to(CUDA).train, 50, generator(0, "order"))
    loaded = Loaded(lazy(bundle).train, 50, generator(0, "order"), workers=1, device=CUDA)
    assert all(equal(*pair) for pair in zip(on_gpu.epoch(), loaded.epoch(), strict=True))
