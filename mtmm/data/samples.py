"""Torch `Dataset`s, Hugging Face `datasets` and the like as a data set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch

from mtmm.data.splits import bundle
from mtmm.settings import found, listed
from mtmm.spec import IGNORED, Batch, DataBundle, Description, Modality, Task

MOST_SHOWN = 3


class Samples(Protocol):
    """A split, sample by sample: a mapping by name each, or a tuple of inputs and then labels."""

    def __len__(self) -> int:
        """The number of samples."""
        ...

    def __getitem__(self, index: int, /) -> Any:
        """A sample."""
        ...


class _Problems:
    """What is wrong with the samples of a split, by the rule that is broken."""

    def __init__(self) -> None:
        self._broken: dict[str, list[tuple[int, str]]] = defaultdict(list)

    def add(self, rule: str, item: int, told: str) -> None:
        self._broken[rule].append((item, " ".join(told.split())))

    def told(self) -> Iterator[str]:
        for rule, items in self._broken.items():
            some = listed(f"item {item}: {told}" for item, told in items[:MOST_SHOWN])
            more = ", ..." if len(items) > MOST_SHOWN else ""
            yield f"{rule}; found {len(items):,} others ({some}{more})"


def from_samples(about: Description, train: Samples, val: Samples, test: Samples) -> DataBundle:
    """The data set of that description, each split stacked into tensors that lie in memory.

    A sample is a mapping that has every modality and task of `about` by name, or a tuple of them
    in that order. None is an input or a label that is not there. Inputs become float32 (token ids
    int64), and are not scaled. Of a kind of task that is not ours a label is a class or a number.

    Raises ValueError with everything that is wrong, counted, with the
    first items.
    """
    splits, told = {}, []
    for name, samples in (("train", train), ("val", val), ("test", test)):
        if not (hasattr(samples, "__len__") and hasattr(samples, "__getitem__")):
            text = "must have a length and samples by index, as a torch Dataset"
            told.append(f"{name} {text}; found a {type(samples).__name__}")
            continue
        problems = _Problems()
        splits[name] = _stacked(about, samples, problems)
        told += [f"{name}: {text}" for text in problems.told()]
        told += [f"{name} {text}" for text in _empty(splits[name])]
    if told:
        raise ValueError("; ".join(told))
    return bundle(about, splits)


def _empty(batch: Batch) -> Iterator[str]:
    for task, labelled in batch.labelled.items():
        if not labelled.any():
            yield f"has no label of '{task}'"


def _stacked(about: Description, samples: Samples, problems: _Problems) -> Batch:
    count = len(samples)
    columns = [_Column(part, count) for part in about.modalities]
    columns += [_Column(part, count) for part in about.tasks]
    for row in range(count):
        try:
            sample = samples[row]
        except Exception as error:  # of a file that is gone or broken, say
            problems.add("every item must be readable", row, f"{type(error).__name__}: {error}")
            continue
        values = _values(sample, [column.name for column in columns])
        if values is None:
            names = listed(column.name for column in columns)
            rule = f"an item must be a mapping, or a tuple of {len(columns)} ({names})"
            problems.add(rule, row, _kind(sample))
            continue
        for column in columns:
            if column.name not in values:
                rule = f"an item must have '{column.name}', None where it is not there"
                problems.add(rule, row, listed(map(repr, values)))
            elif values[column.name] is not None:
                told = column.put(row, values[column.name])
                if told is not None:
                    problems.add(f"'{column.name}' must be {column.rule}", row, told)
    inputs, targets = columns[: len(about.modalities)], columns[len(about.modalities) :]
    return Batch(
        inputs={column.name: column.values for column in inputs},
        present={column.name: column.there for column in inputs},
        targets={column.name: column.values for column in targets},
        labelled={column.name: column.there for column in targets},
    )


def _values(sample: Any, names: list[str]) -> Mapping[str, Any] | None:
    """What a sample holds, by name; None where it is neither a mapping nor such a tuple."""
    if isinstance(sample, Mapping):
        return sample
    if isinstance(sample, tuple | list) and len(sample) == len(names):
        return dict(zip(names, sample, strict=True))
    return None


class _Column:
    """An input or a label of all samples."""

    def __init__(self, part: Modality | Task, count: int) -> None:
        self.name = part.name
        shape, self._low, self._high, self.rule = _limits(part)
        whole = self._high is not None
        self._floats = not whole or part.kind == "multilabel"  # binary cross-entropy wants floats
        dtype = torch.int64 if whole else torch.float32
        fill = IGNORED if isinstance(part, Task) and whole else 0
        self.values = torch.full((count, *shape), fill, dtype=dtype)
        self.there = torch.zeros(count, dtype=torch.bool)

    def put(self, row: int, value: Any) -> str | None:
        """Keep a value; what is wrong with it, for a message, or None."""
        try:
            x = torch.as_tensor(value)
        except (TypeError, ValueError, RuntimeError):
            return _kind(value)
        if x.shape != self.values.shape[1:]:
            return f"{list(x.shape)}" if x.dim() else _kind(value)
        if x.is_complex() or (x.is_floating_point() and not self._floats):
            return f"{x.dtype}"
        kept = x.to(self.values.dtype)
        good = torch.isfinite(kept)
        if self._high is not None:
            good = (kept == x) & (kept >= self._low) & (kept <= self._high)
        if not good.all():
            return f"{x[~good].flatten()[0].item()}"
        self.values[row], self.there[row] = kept, True
        return None


def _limits(part: Modality | Task) -> tuple[tuple[int, ...], int, int | None, str]:
    """Shape, the lowest and highest whole number (None: any number), and both in words."""
    if isinstance(part, Modality):
        shape = part.shape
        if part.vocabulary is None:
            return shape, 0, None, f"{list(shape)} finite numbers"
        last = part.vocabulary - 1
        return shape, 0, last, f"{list(shape)} token ids from 0 to {last}"
    if part.kind == "multilabel":
        return (part.classes,), IGNORED, 1, f"[{part.classes}] of 1, 0 or -1 (unknown)"
    if part.classes:
        return (), 0, part.classes - 1, f"a class from 0 to {part.classes - 1}"
    return (), 0, None, "a finite number"


def _kind(value: object) -> str:
    plain = isinstance(value, bool | int | float | str)
    return found(value) if plain else f"a {type(value).__name__}"
