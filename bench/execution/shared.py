"""What the processes of one run share: data sets, built by the first, mapped by the others."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from mtmm.data import DATASETS
from mtmm.registry import settings_in
from mtmm.spec import Batch, DataBundle

SPLITS = ("train", "val", "test")


@contextmanager
def folder_of_run(root: Path) -> Iterator[Path]:
    """A new folder below `root`, removed at the end; those of runs that were killed go as well.

    A run holds a lock beside its folder: what nobody holds is left over. Raises OSError where
    nothing can be written.
    """
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / "lock"):
        for lock in root.glob("*.held"):
            _remove_unless_held(lock)
        folder = Path(tempfile.mkdtemp(dir=root)).absolute()
        held = FileLock(folder.with_suffix(".held"), blocking=False)
        held.acquire()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_suffix(".held").unlink(missing_ok=True)
        held.release()


def _remove_unless_held(path: Path) -> None:
    lock = FileLock(path, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        return
    shutil.rmtree(path.with_suffix(""), ignore_errors=True)
    path.unlink(missing_ok=True)
    lock.release()


def shared_data(dataset: Mapping[str, Any], folder: Path) -> DataBundle:
    """The data of a resolved `dataset:`, its tensors in a file of `folder` that all map.

    Data that does not lie in memory is read by each process by itself.
    """
    digest = hashlib.sha256(json.dumps(dataset, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / f"{digest}.pt"
    apart = path.with_suffix(".apart")
    with FileLock(path.with_suffix(".lock")):
        if not path.exists() and not apart.exists():
            bundle = DATASETS[dataset["name"]](**settings_in(dataset))
            if not all(isinstance(getattr(bundle, split), Batch) for split in SPLITS):
                apart.touch()
                return bundle
            _save(bundle, path)
    return DATASETS[dataset["name"]](**settings_in(dataset)) if apart.exists() else _load(path)


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
