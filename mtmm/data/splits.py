"""What small data sets share: stratified splits, batches out of arrays, fingerprints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mtmm.spec import Batch, DataBundle, Description

TRAIN_SHARE, VAL_SHARE = 0.6, 0.2


def stratified(labels: NDArray[np.int64], seed: int) -> dict[str, NDArray[np.int64]]:
    """Rows of train, val and test, 60/20/20 of every class, each in ascending order."""
    random = np.random.RandomState(seed)  # its streams are the same from release to release
    parts: dict[str, list[NDArray[np.int64]]] = {"train": [], "val": [], "test": []}
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        ends = [round(TRAIN_SHARE * len(rows)), round((TRAIN_SHARE + VAL_SHARE) * len(rows))]
        for name, part in zip(parts, np.split(rows, ends), strict=True):
            parts[name].append(part)
    return {name: np.sort(np.concatenate(rows)) for name, rows in parts.items()}


def complete(
    inputs: Mapping[str, NDArray[np.float32]], targets: Mapping[str, NDArray[np.int64]]
) -> Batch:
    """A batch in which nothing is missing."""
    count = len(next(iter(targets.values())))
    return Batch(
        inputs={name: torch.from_numpy(np.ascontiguousarray(x)) for name, x in inputs.items()},
        targets={name: torch.from_numpy(np.ascontiguousarray(y)) for name, y in targets.items()},
        present={name: torch.ones(count, dtype=torch.bool) for name in inputs},
        labelled={name: torch.ones(count, dtype=torch.bool) for name in targets},
    )


def bundle(description: Description, splits: Mapping[str, Batch]) -> DataBundle:
    """The data set of that description."""
    return DataBundle(
        modalities=description.modalities,
        tasks=description.tasks,
        fingerprint=description.fingerprint,
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
    )


def digit_tasks(digits: NDArray[np.int64], names: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """What can be asked of a digit: which it is, whether it is odd, whether it is above four."""
    made = {"digit": digits, "parity": digits % 2, "large": (digits > 4).astype(np.int64)}
    return {name: made[name] for name in names}


def fingerprint(**parts: Any) -> str:
    """A hash over what determines the data."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
