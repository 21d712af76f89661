"""Images that stay in a file until a batch needs them: data that does not fit into memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtmm import register
from mtmm.data.base import Dataset
from mtmm.spec import Batch, DataBundle, Description, Modality, Task


class Stored:
    """A split: the labels lie in memory, the images in `images.npy`, `[samples, C, H, W]` bytes."""

    def __init__(self, file: Path, rows: Tensor, digit: Tensor, tasks: Iterable[str]) -> None:
        self._file, self._rows, self._digit = file, rows, digit
        self.targets = dict.fromkeys(tasks, digit)
        self.labelled = dict.fromkeys(tasks, torch.ones(len(rows), dtype=torch.bool))

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, index: Tensor) -> Batch:
        """Read these samples; each process opens the file for itself."""
        pixels = np.load(self._file, mmap_mode="r")[self._rows[index].numpy()]
        return Batch(
            inputs={"image": torch.from_numpy(pixels).float() / 255},
            targets={task: labels[index] for task, labels in self.targets.items()},
            present={"image": torch.ones(len(index), dtype=torch.bool)},
            labelled={task: known[index] for task, known in self.labelled.items()},
        )

    def select(self, modalities: Iterable[str], tasks: Iterable[str]) -> Stored:
        """The same samples with these tasks; there is one modality."""
        return Stored(self._file, self._rows, self._digit, tasks)


def describe(*, folder: str = "data") -> Description:
    """What is in the files, whose labels stand for them in the fingerprint."""
    shape = np.load(Path(folder, "images.npy"), mmap_mode="r").shape[1:]
    return Description(
        modalities=(Modality(name="image", kind="image", shape=shape),),
        tasks=(Task(name="digit", kind="classification", classes=10),),
        fingerprint=hashlib.sha256(Path(folder, "digits.npy").read_bytes()).hexdigest(),
    )


def build(*, folder: str = "data") -> DataBundle:
    """Three splits of the files: the last fifth is for testing, the one before for choosing."""
    digit = torch.from_numpy(np.load(Path(folder, "digits.npy"))).long()
    fifth = len(digit) // 5
    train, val, test = (
        Stored(Path(folder, "images.npy"), rows, digit[rows], ["digit"])
        for rows in torch.arange(len(digit)).split([len(digit) - 2 * fifth, fifth, fifth])
    )
    about = describe(folder=folder)
    return DataBundle(
        modalities=about.modalities,
        tasks=about.tasks,
        fingerprint=about.fingerprint,
        train=train,
        val=val,
        test=test,
    )


register("dataset", "stored")(Dataset(build, describe))
