"""What was understood of a data set: inputs, tasks, splits, and how far a linear model comes."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor

from bench.evaluation import trivial
from bench.lines import one_line
from bench.report.columns import three_digits
from mtmm.heads.judging import objectives
from mtmm.spec import Batch, DataBundle, Legend, Modality, Task, in_memory

PARTS = ("train", "val", "test")
MOST_ROWS, MOST_COLUMNS = 5_000, 2_000
"""What the linear model is fitted on at most; columns beyond are left out evenly."""

Splits = Mapping[str, Batch]


def understood(bundle: DataBundle, legend: Legend) -> Iterator[str]:
    """Lines for a reader; classes by name where `legend` knows it.

    Raises ValueError where the samples do not lie in memory.
    """
    splits = {part: in_memory(getattr(bundle, part)) for part in PARTS}
    yield "samples: " + ", ".join(f"{part} {len(split):,}" for part, split in splits.items())
    yield _identical(splits)
    for modality in bundle.modalities:
        yield from _modality(modality, splits)
    judged = objectives(bundle.tasks)
    constant = trivial(judged, bundle, splits["test"])
    features = {part: _features(bundle.modalities, split) for part, split in splits.items()}
    for task in bundle.tasks:
        yield from _task(task, splits, legend.classes.get(task.name, ()))
        name = judged[task.name].primary
        text = f"  {name} on test: {three_digits(constant[task.name][name])} for a constant"
        linear = _linear(task, splits, features)
        if linear is not None:
            sums = judged[task.name].sums(linear.device)
            test = splits["test"]
            target, labelled = test.targets[task.name], test.labelled[task.name]
            measured = judged[task.name].measure(
                judged[task.name].update(sums, linear, target, labelled)
            )
            text += f", {three_digits(measured[name])} for a linear model"
        yield text


def _identical(splits: Splits) -> str:
    """How many samples of val and test have all inputs in common with one of train."""
    seen = {
        part: [_digest(split, row) for row in range(len(split))] for part, split in splits.items()
    }
    known = set(seen["train"])
    both = {part: sum(digest in known for digest in seen[part]) for part in ("val", "test")}
    told = ", ".join(f"{count:,} of {part}" for part, count in both.items())
    return f"samples whose inputs are also in train: {told}"


def _digest(split: Batch, row: int) -> bytes:
    digest = hashlib.sha256()
    for name, x in split.inputs.items():
        there = bool(split.present[name][row])
        digest.update(x[row].contiguous().numpy().tobytes() if there else b"absent")
        digest.update(name.encode())
    return digest.digest()


def _modality(modality: Modality, splits: Splits) -> Iterator[str]:
    name = modality.name
    yield f"input '{one_line(name)}': {modality.kind}, {' × '.join(map(str, modality.shape))}"
    shares = {part: float(split.present[name].float().mean()) for part, split in splits.items()}
    if min(shares.values()) < 1:
        yield "  there: " + ", ".join(f"{share:.1%} of {part}" for part, share in shares.items())
    x = splits["train"].inputs[name][splits["train"].present[name]]
    if modality.vocabulary is not None:
        lengths = (x != modality.pad_id).sum(1).float()
        used = len(np.unique(x.numpy()))
        yield (
            f"  {modality.vocabulary:,} token ids, {used:,} of them in train; "
            f"{lengths.mean():.1f} tokens a text, {(lengths == x.shape[1]).float().mean():.1%} full"
        )
    elif x.is_floating_point() and len(x):
        mean, sd, low, high = (float(value) for value in (x.mean(), x.std(), x.min(), x.max()))
        yield f"  mean {mean:.2f}, standard deviation {sd:.2f}, {low:.2f} to {high:.2f}"


def _task(task: Task, splits: Splits, names: Sequence[str]) -> Iterator[str]:
    size = f", {task.classes} classes" if task.classes else ""
    yield f"task '{one_line(task.name)}': {task.kind}{size}"
    shares = {
        part: float(split.labelled[task.name].float().mean()) for part, split in splits.items()
    }
    if min(shares.values()) < 1:
        yield "  labelled: " + ", ".join(f"{share:.1%} of {part}" for part, share in shares.items())
    target = splits["train"].targets[task.name][splits["train"].labelled[task.name]]
    if target.dim() == 1 and task.classes:
        counts = torch.bincount(target, minlength=task.classes)
        rare, frequent = (
            _counted(counts, int(i), names) for i in (counts.argmin(), counts.argmax())
        )
        yield f"  samples a class in train: {rare} to {frequent}"
    elif target.dim() == 1 and len(target):
        low, high = float(target.min()), float(target.max())
        yield f"  {low:.4g} to {high:.4g} in train, mean {float(target.double().mean()):.4g}"


def _counted(counts: Tensor, place: int, names: Sequence[str]) -> str:
    return f"{int(counts[place]):,}" + (f" ({one_line(names[place])})" if names else "")


def _features(modalities: tuple[Modality, ...], split: Batch) -> NDArray[np.float32]:
    """All inputs side by side, `[N, D]`; of a text, which tokens it has; 0 where absent."""
    columns = []
    for modality in modalities:
        x, there = split.inputs[modality.name], split.present[modality.name]
        if modality.vocabulary is not None:
            has = torch.zeros(len(x), modality.vocabulary)
            x = has.scatter_(1, x, 1.0)
        flat = torch.where(there[:, None], x.flatten(1).float(), 0.0)
        columns.append(flat[:, :: -(-flat.shape[1] // MOST_COLUMNS)])
    made: NDArray[np.float32] = torch.cat(columns, dim=1).numpy()
    return made


def _linear(
    task: Task, splits: Splits, features: Mapping[str, NDArray[np.float32]]
) -> Tensor | None:
    """What a linear model of all inputs says of test, as a head would; None if there is none."""
    labelled = splits["train"].labelled[task.name].numpy()
    x = features["train"][labelled][:MOST_ROWS]
    y = splits["train"].targets[task.name].numpy()[labelled][:MOST_ROWS]
    if task.kind == "regression":
        return torch.from_numpy(Ridge().fit(x, y).predict(features["test"]).astype(np.float32))
    if task.kind != "classification" or len(set(y.tolist())) < 2:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(max_iter=200).fit(x, y)
    told = np.full((len(features["test"]), task.classes), -np.inf, dtype=np.float32)
    told[:, model.classes_] = np.log(model.predict_proba(features["test"]) + 1e-12)
    return torch.from_numpy(told)
