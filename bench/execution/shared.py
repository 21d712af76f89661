"""Data sets that several processes train on: built by the first, memory-mapped by the others."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from mtmm.data import DATASETS
from mtmm.registry import settings_in
from mtmm.spec import Batch, DataBundle

SPLITS = ("train", "val", "test")


def shared_data(dataset: Mapping[str, Any], folder: Path) -> DataBundle:
    """The data of a resolved `dataset:`, its tensors in a file of `folder` that all map."""
    digest = hashlib.sha256(json.dumps(dataset, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / f"{digest}.pt"
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            _save(DATASETS[dataset["name"]](**settings_in(dataset)), path)
    return _load(path)


def _save(bundle: DataBundle, path: Path) -> None:
    batches = {split: _tensors(getattr(bundle, split)) for split in SPLITS}
    about = replace(bundle, **dict.fromkeys(SPLITS, None))  # type: ignore[arg-type]
    path.with_suffix(".about").write_bytes(pickle.dumps(about))
    partial = path.with_suffix(".partial")
    torch.save(batches, partial)
    partial.replace(path)


def _load(path: Path) -> DataBundle:
    batches = torch.load(path, mmap=True, weights_only=True)
    about: DataBundle = pickle.loads(path.with_suffix(".about").read_bytes())
    train, val, test = (Batch(**batches[split]) for split in SPLITS)
    return replace(about, train=train, val=val, test=test)


def _tensors(batch: Batch) -> dict[str, dict[str, torch.Tensor]]:
    return {field.name: dict(getattr(batch, field.name)) for field in fields(batch)}
