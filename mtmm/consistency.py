"""Whether a data set is what it said it would be: told before anything trains on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

from mtmm.heads import HEADS
from mtmm.settings import found, listed
from mtmm.spec import Batch, DataBundle, Description, Modality, Split, Task

_OF_SPLITS = ("targets", "labelled", "__len__", "take", "select")
_FEW = 32  # samples of a split that reads them one by one are looked at


def no_description(described: object) -> str | None:
    """What keeps a value that `describe` returned from being a description; None: nothing."""
    return next(_of_description(described), None)


def check_built(bundle: object, description: Description) -> None:
    """Raise ValueError where what `build` returned is not what `describe` said, or is no data."""
    wrong = next(_of_bundle(bundle, description), None)
    if wrong is not None:
        raise ValueError(f"`build` of the data set: {wrong}")


def _of_description(described: object) -> Iterator[str]:
    if not isinstance(described, Description):
        yield f"its `describe` must return a Description; found {_told(described)}"
        return
    for key, kind in (("modalities", Modality), ("tasks", Task)):
        parts = getattr(described, key)
        if not isinstance(parts, tuple) or not all(isinstance(part, kind) for part in parts):
            yield f"its `{key}` must be a tuple of {kind.__name__}; found {_told(parts)}"
        names = [part.name for part in parts]
        if not names or len(set(names)) < len(names):
            yield f"its `{key}` must be one or more, of different names; found {listed(names)}"
    fingerprint = getattr(described, "fingerprint")  # noqa: B009 (whatever it is annotated as)
    if not isinstance(fingerprint, str):
        yield f"its `fingerprint` must be a word; found {_told(fingerprint)}"
    for modality in described.modalities:
        shape = modality.shape
        whole = isinstance(shape, tuple) and all(type(n) is int and n > 0 for n in shape)
        if not whole:
            text = f"the shape of modality '{modality.name}' must be a tuple of sizes above 0"
            yield f"{text}; found {_told(shape)}"


def _of_bundle(bundle: object, description: Description) -> Iterator[str]:
    if not isinstance(bundle, DataBundle):
        yield f"must return a DataBundle; found {_told(bundle)}"
        return
    for key in ("modalities", "tasks", "fingerprint"):
        built, said = getattr(bundle, key), getattr(description, key)
        if built != said:
            yield f"its `{key}` must be what `describe` says, {said}; found {built}"
    for split in ("train", "val", "test"):
        samples = getattr(bundle, split)
        if isinstance(samples, Batch):
            yield from (f"{split}: {wrong}" for wrong in _of_batch(samples, description))
        elif all(hasattr(samples, name) for name in _OF_SPLITS):
            yield from (f"{split}: {wrong}" for wrong in _of_split(samples, description))
        else:
            has = listed(name for name in _OF_SPLITS if hasattr(samples, name))
            text = f"must be a Batch or have {listed(_OF_SPLITS)} of a Split"
            yield f"`{split}` {text}; found {_told(samples)} (it has: {has})"
            return


def _of_split(split: Split, description: Description) -> Iterator[str]:
    """All labels, which lie in memory, and the first samples."""
    yield from _missing("targets", split.targets, description.tasks)
    yield from _missing("labelled", split.labelled, description.tasks)
    size = len(split)
    if size == 0:
        yield "has no sample"
    yield from _of_labels(split, description.tasks, size)
    few: object = split.take(torch.arange(min(size, _FEW)))
    if not isinstance(few, Batch):
        yield f"its `take` must return a Batch; found {_told(few)}"
        return
    yield from _of_batch(few, description)
    for task in description.tasks:
        for key in ("targets", "labelled"):
            if not getattr(few, key)[task.name].equal(getattr(split, key)[task.name][:_FEW]):
                text = f"`{key}` of '{task.name}' must be those of the split"
                yield f"what its `take` returns: {text}; found others"


def _of_batch(batch: Batch, description: Description) -> Iterator[str]:
    modalities, tasks = description.modalities, description.tasks
    yield from _missing("inputs", batch.inputs, modalities)
    yield from _missing("present", batch.present, modalities)
    yield from _missing("targets", batch.targets, tasks)
    yield from _missing("labelled", batch.labelled, tasks)
    size = len(batch.inputs[modalities[0].name])
    if size == 0:
        yield "has no sample"
    for modality in modalities:
        x = batch.inputs[modality.name]
        wanted = (size, *modality.shape)
        if x.shape != wanted:
            yield f"inputs of '{modality.name}' must be {list(wanted)}; found {list(x.shape)}"
        yield from _of_flags(f"present of '{modality.name}'", batch.present[modality.name], size)
        yield from _of_tokens(modality, x, batch.present[modality.name])
    yield from _of_labels(batch, tasks, size)


def _of_labels(split: Split, tasks: Iterable[Task], size: int) -> Iterator[str]:
    for task in tasks:
        target, labelled = split.targets[task.name], split.labelled[task.name]
        if target.shape[:1] != (size,):
            yield f"targets of '{task.name}' must be [{size}, ...]; found {list(target.shape)}"
        yield from _of_flags(f"labelled of '{task.name}'", labelled, size)
        if task.kind in HEADS:
            wrong = HEADS[task.kind].objective(task).unfit(target, labelled)
            if wrong is not None:
                yield f"targets of '{task.name}' must be {wrong}"


def _missing(
    key: str, there: Mapping[str, Tensor], wanted: Iterable[Modality | Task]
) -> Iterator[str]:
    for part in wanted:
        if not isinstance(there.get(part.name), Tensor):
            text = f"`{key}` must hold a tensor for each of {listed(p.name for p in wanted)}"
            yield f"{text}; found {_told(there.get(part.name))} for '{part.name}'"


def _of_flags(owner: str, flags: Tensor, size: int) -> Iterator[str]:
    if flags.dtype != torch.bool or flags.shape != (size,):
        shape = list(flags.shape)
        yield f"{owner} must be boolean and [{size}]; found {flags.dtype} {shape}"


def _of_tokens(modality: Modality, x: Tensor, present: Tensor) -> Iterator[str]:
    if modality.vocabulary is None or not present.any():
        return
    ids = x[present]
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= modality.vocabulary:
        yield (
            f"token ids of '{modality.name}' must be 0 to {modality.vocabulary - 1}; found ids "
            f"from {low} to {high}"
        )


def _told(value: object) -> str:
    plain = (bool, int, float, str, list, tuple, dict, type(None))
    return found(value) if isinstance(value, plain) else f"a {type(value).__name__}"
