"""The value types everything speaks: modalities, tasks, batches, features and model outputs.

Shape letters: B samples in a batch, S tokens, D features, K classes, C/H/W channels, height, width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

ModalityKind = str
"""`image`, `text`, `audio`, `vector`, or any word that an encoder lists among its `kinds`."""

TaskKind = str
"""`classification`, `multilabel`, `ordinal`, `regression`, or any word that a head is named."""

Space = Literal["theta", "z", "last"]
"""A gradient space; see `SharedSpace`."""

IGNORED = -1
"""Target value of a sample that has no label for a classification task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Modality:
    """One input of a sample: its name, kind and shape.

    `shape` is that of one sample: (C, H, W) of an image, (S,) of a text given as token ids,
    (D,) of a vector; of a kind of your own, what its encoders expect. `vocabulary` is the number
    of token ids of a text; `pad_id` is the id that fills a short text up to S.
    """

    name: str
    kind: ModalityKind
    shape: tuple[int, ...]
    vocabulary: int | None = None
    pad_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One thing to predict: its name, kind and number of classes (0: the kind has none).

    For numbers `offset` and `scale` say where they lie and how far apart: mean and standard
    deviation over the training labels, say. Heads predict and losses judge in these units.
    """

    name: str
    kind: TaskKind
    classes: int = 0
    offset: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Legend:
    """Words by token id of each text, and names by class of each task; empty where unknown."""

    words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """B samples: inputs and targets, and which of them exist.

    `inputs[modality]` is `[B, *shape]`; `targets[task]` is `[B]` (classification), or what the
    objective of the task's kind expects; `present[modality]` and `labelled[task]` are boolean
    `[B]`. The content of an absent input or of a missing target is never looked at.
    """

    inputs: Mapping[str, Tensor]
    targets: Mapping[str, Tensor]
    present: Mapping[str, Tensor]
    labelled: Mapping[str, Tensor]

    def __len__(self) -> int:
        return next(iter(self.inputs.values())).shape[0]

    @property
    def device(self) -> torch.device:
        """The device the samples are on."""
        return next(iter(self.inputs.values())).device

    def take(self, index: Tensor) -> Batch:
        """The samples at `index`; see `Split.take`."""
        return Batch(
            inputs={name: value.index_select(0, index) for name, value in self.inputs.items()},
            targets={name: value.index_select(0, index) for name, value in self.targets.items()},
            present={name: value.index_select(0, index) for name, value in self.present.items()},
            labelled={name: value.index_select(0, index) for name, value in self.labelled.items()},
        )

    def select(self, modalities: Iterable[str], tasks: Iterable[str]) -> Batch:
        """The same samples with these modalities and tasks only; see `Split.select`."""
        modalities, tasks = list(modalities), list(tasks)
        return Batch(
            inputs={name: self.inputs[name] for name in modalities},
            targets={name: self.targets[name] for name in tasks},
            present={name: self.present[name] for name in modalities},
            labelled={name: self.labelled[name] for name in tasks},
        )

    def to(self, device: torch.device, *, non_blocking: bool = False) -> Batch:
        """The same samples on `device`; `non_blocking` as in `torch.Tensor.to`."""
        return self._each(lambda value: value.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """The same samples in page-locked memory, from where a device can copy them by itself."""
        return self._each(lambda value: value.pin_memory())

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(
            inputs={name: change(value) for name, value in self.inputs.items()},
            targets={name: change(value) for name, value in self.targets.items()},
            present={name: change(value) for name, value in self.present.items()},
            labelled={name: change(value) for name, value in self.labelled.items()},
        )


class Split(Protocol):
    """The samples of a split. A `Batch` is one, all of whose samples lie in memory.

    Of data that does not fit, only the labels have to lie in memory: what is constant over a split
    is fitted on them. `targets` and `labelled` are those of all samples, as in a `Batch`.
    """

    @property
    def targets(self) -> Mapping[str, Tensor]:
        """The targets of every task."""
        ...

    @property
    def labelled(self) -> Mapping[str, Tensor]:
        """Which targets exist."""
        ...

    def __len__(self) -> int:
        """The number of samples."""
        ...

    def take(self, index: Tensor) -> Batch:
        """The samples at `index` (int64 `[b]`, on the device of the labels)."""
        ...

    def select(self, modalities: Iterable[str], tasks: Iterable[str]) -> Split:
        """The same samples with these modalities and tasks only, in the order given."""
        ...


def in_memory(split: Split) -> Batch:
    """The split as a batch; ValueError where its samples do not all lie in memory."""
    if isinstance(split, Batch):
        return split
    text = f"a {type(split).__name__} reads its samples when they are taken"
    raise ValueError(f"the split must be a Batch, which lies in memory as a whole; {text}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What is known of a data set before it is built.

    `fingerprint` is a hash over its sources and settings: equal fingerprints mean equal tensors.
    """

    modalities: tuple[Modality, ...]
    tasks: tuple[Task, ...]
    fingerprint: str

    def modality(self, name: str) -> Modality:
        """The modality of that name (KeyError if there is none)."""
        return {modality.name: modality for modality in self.modalities}[name]

    def task(self, name: str) -> Task:
        """The task of that name (KeyError if there is none)."""
        return {task.name: task for task in self.tasks}[name]

    def select(self, modalities: Iterable[str], tasks: Iterable[str]) -> Description:
        """The same data with these modalities and tasks only, in the order given."""
        return replace(
            self,
            modalities=tuple(self.modality(name) for name in modalities),
            tasks=tuple(self.task(name) for name in tasks),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DataBundle(Description):
    """A built data set: its description and three splits. Choose on `val`, report on `test`."""

    train: Split
    val: Split
    test: Split

    def select(self, modalities: Iterable[str], tasks: Iterable[str]) -> DataBundle:
        """The same samples with these modalities and tasks only, in the order given."""
        modalities, tasks = list(modalities), list(tasks)
        return replace(
            self,
            modalities=tuple(self.modality(name) for name in modalities),
            tasks=tuple(self.task(name) for name in tasks),
            train=self.train.select(modalities, tasks),
            val=self.val.select(modalities, tasks),
            test=self.test.select(modalities, tasks),
        )

    def to(self, device: torch.device) -> DataBundle:
        """The same samples on `device`; ValueError where they do not all lie in memory."""
        train, val, test = (in_memory(split) for split in (self.train, self.val, self.test))
        return replace(self, train=train.to(device), val=val.to(device), test=test.to(device))


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What a path hands on to fusions and heads.

    `vector` is `[B, D]`. `tokens` `[B, S, E]` with `token_mask` (boolean `[B, S]`, true = real
    token, None = all real) and `maps` `[B, C, H, W]` exist where the encoder has them. `present`,
    boolean `[B]` by modality, comes with the feature of a path.
    """

    vector: Tensor
    tokens: Tensor | None = None
    token_mask: Tensor | None = None
    maps: Tensor | None = None
    present: Mapping[str, Tensor] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSpace:
    """Where the tasks of one step meet: what per-task gradients can be taken with respect to.

    `theta` groups the parameters that more than one task uses by the part they belong to; `z` is
    the shared representation; `last` the last module that all tasks share. A space that an
    architecture lacks is empty or None.
    """

    theta: Mapping[str, tuple[nn.Parameter, ...]] = field(default_factory=dict)
    z: tuple[Tensor, ...] | None = None
    last: nn.Module | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOutput:
    """What a model's `forward` returns.

    `outputs[task]` is what the task's head made (`[B, K]` logits of a classification);
    `features[task]` what the head read; `auxiliary` holds further losses by name.
    """

    outputs: Mapping[str, Tensor]
    shared: SharedSpace = field(default_factory=SharedSpace)
    features: Mapping[str, Features] = field(default_factory=dict)
    auxiliary: Mapping[str, Tensor] = field(default_factory=dict)
