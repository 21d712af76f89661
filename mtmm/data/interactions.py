"""`interactions`: two vectors whose labels need one of them, either or both; Bayes is known.

The labels are bits that shift single coordinates of otherwise Gaussian noise. They separate
fusions that add from fusions that multiply, and give every accuracy a value to be compared with.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from mtmm import source
from mtmm.data.splits import bundle, complete, fingerprint
from mtmm.settings import Range
from mtmm.spec import Batch, DataBundle, Description, Modality, Task

Kind = Literal["redundant", "unique", "synergy", "mixed"]
Size = Annotated[int, Range(low=1, high=10**7)]
Dim = Annotated[int, Range(low=3, high=65536)]
Noise = Annotated[float, Range(above=0, high=1e6)]
Seed = Annotated[int, Range(low=0, below=2**32)]

FIRST, SECOND = "first", "second"
SHIFT = {"redundant": 1.0, "unique": 1.0, "synergy": 2.0}
"""How far a bit moves its coordinate, to either side."""

SOURCE_HASH = source.file_hash(__file__)


def describe(
    *,
    kind: Kind = "synergy",
    train: Size = 2000,
    val: Size = 1000,
    test: Size = 4000,
    dim: Dim = 8,
    noise: Noise = 0.5,
    seed: Seed = 0,
) -> Description:
    """The description of what `build` makes of the same settings."""
    settings = {"kind": kind, "sizes": [train, val, test], "dim": dim, "noise": noise, "seed": seed}
    return Description(
        modalities=tuple(Modality(name=m, kind="vector", shape=(dim,)) for m in (FIRST, SECOND)),
        tasks=tuple(Task(name=t, kind="classification", classes=2) for t in tasks_of(kind)),
        fingerprint=fingerprint(source=SOURCE_HASH, numpy=np.__version__, **settings),
    )


def build(
    *,
    kind: Kind = "synergy",
    train: Size = 2000,
    val: Size = 1000,
    test: Size = 4000,
    dim: Dim = 8,
    noise: Noise = 0.5,
    seed: Seed = 0,
) -> DataBundle:
    """Modalities `first` and `second`, float32 `[B, dim]`, and a two-class task named by its kind.

    Every coordinate has Gaussian noise of standard deviation `noise`. `redundant`: a bit moves
    coordinate 0 of both by ±1. `unique`: it moves that of `first` by ±1, and `second` knows
    nothing. `synergy`: two bits move that of `first` and that of `second` by ±2, the label is
    whether they differ. `mixed` has all three tasks, on coordinates 0, 1 and 2. See
    `bayes_accuracy`.
    """
    sizes = {"train": train, "val": val, "test": test}
    splits = {
        split: _sample(kind, size, dim, noise, np.random.RandomState([seed, stream]))
        for stream, (split, size) in enumerate(sizes.items())
    }
    description = describe(
        kind=kind, train=train, val=val, test=test, dim=dim, noise=noise, seed=seed
    )
    return bundle(description, splits)


def tasks_of(kind: Kind) -> tuple[str, ...]:
    """The tasks of a kind."""
    return tuple(SHIFT) if kind == "mixed" else (kind,)


def bayes_accuracy(
    task: str, noise: float = 0.5, modalities: Collection[str] = (FIRST, SECOND)
) -> float:
    """The accuracy of the best possible rule that sees these modalities.

    With Φ the normal distribution function: Φ(√M / σ) of `redundant` with M modalities, Φ(1 / σ)
    of `unique` with the first, p² + (1 − p)² with p = Φ(2 / σ) of `synergy` with both, else 1/2.
    """
    there = [name for name in (FIRST, SECOND) if name in modalities]
    if task == "redundant":
        return _phi(math.sqrt(len(there)) * SHIFT[task] / noise)
    if task == "unique":
        return _phi(SHIFT[task] / noise) if FIRST in there else 0.5
    if task == "synergy":
        p = _phi(SHIFT[task] / noise)
        return p * p + (1 - p) * (1 - p) if len(there) == 2 else 0.5
    raise ValueError(f"`task` must be redundant, unique or synergy; found '{task}'")


def _phi(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def _sample(kind: Kind, size: int, dim: int, noise: float, random: np.random.RandomState) -> Batch:
    first, second = noise * random.standard_normal((2, size, dim))
    targets = {}
    for place, task in enumerate(tasks_of(kind)):
        bits = random.randint(0, 2, (2, size))
        signs = SHIFT[task] * (2 * bits - 1)
        first[:, place] += signs[0]
        if task == "synergy":
            second[:, place] += signs[1]
        elif task == "redundant":
            second[:, place] += signs[0]
        targets[task] = _label(task, bits)
    inputs = {FIRST: first.astype(np.float32), SECOND: second.astype(np.float32)}
    return complete(inputs, targets)


def _label(task: str, bits: NDArray[np.int64]) -> NDArray[np.int64]:
    label = bits[0] ^ bits[1] if task == "synergy" else bits[0]
    return np.asarray(label, dtype=np.int64)
