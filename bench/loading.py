"""How batches come to the device: taken from data that lies there, or loaded by processes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from mtmm.spec import Batch, DataBundle, Split

Indices = NDArray[np.int64]


class Feed(Protocol):
    """Batches on the device that a variant trains on."""

    def epoch(self) -> Iterator[Batch]:
        """The next epoch of the training split; see `batches`."""
        ...

    def in_order(self, split: Split, size: int) -> Iterator[Batch]:
        """All samples of a split in their order, `size` at a time."""
        ...


def feed_of(
    settings: Mapping[str, Any], train: Split, device: torch.device, order: torch.Generator
) -> Feed:
    """The batches of a variant with these settings of training.

    Which samples come in which order is decided by `order` alone, not by the way they come.
    """
    workers, size = settings["loader_workers"], settings["batch_size"]
    if workers is None:
        return Resident(train, size, order)
    return Loaded(train, size, order, workers=workers, device=device)


def resident(bundle: DataBundle, device: torch.device) -> DataBundle:
    """The data on the device; ValueError where it does not all lie in memory."""
    try:
        return bundle.to(device)
    except ValueError as error:
        text = "set `train.loader_workers` to a number of processes that read it"
        raise ValueError(f"{error}: {text}") from None


class Resident:
    """Batches of data that lies on the device."""

    def __init__(self, train: Split, batch_size: int, order: torch.Generator) -> None:
        self._train, self._batch_size, self._order = train, batch_size, order

    def epoch(self) -> Iterator[Batch]:
        """See `Feed.epoch`."""
        return batches(self._train, self._batch_size, self._order)

    def in_order(self, split: Split, size: int) -> Iterator[Batch]:
        """See `Feed.in_order`."""
        return in_order(split, size)


class Loaded:
    """Batches that worker processes take, from data in host memory or beyond, moved one by one.

    The processes of the training split live as long as this object, those of another split until
    it has been gone through. Without any the batches are taken in this process.
    """

    def __init__(
        self,
        train: Split,
        batch_size: int,
        order: torch.Generator,
        *,
        workers: int,
        device: torch.device,
    ) -> None:
        self._workers, self._device = workers, device
        shuffled = _Shuffled(len(train), batch_size, order)
        self._loader = self._load(train, shuffled, persistent=workers > 0)

    def epoch(self) -> Iterator[Batch]:
        """See `Feed.epoch`."""
        return self._moved(self._loader)

    def in_order(self, split: Split, size: int) -> Iterator[Batch]:
        """See `Feed.in_order`."""
        return self._moved(self._load(split, _Ordered(len(split), size), persistent=False))

    def _load(
        self, split: Split, indices: _Shuffled | _Ordered, *, persistent: bool
    ) -> DataLoader[Batch]:
        return DataLoader(
            _Taken(split),
            batch_size=None,  # an item is a batch already
            sampler=indices,
            num_workers=self._workers,
            collate_fn=_as_it_is,  # type: ignore[arg-type]  # given items, where there are no lists
            pin_memory=self._device.type == "cuda",
            persistent_workers=persistent,
            # Forked, so that they inherit what lies in memory instead of each getting a copy.
            multiprocessing_context="fork" if self._workers else None,
            # Else a number for the workers would be drawn from the one that dropout draws from.
            generator=torch.Generator(),
        )

    def _moved(self, loader: DataLoader[Batch]) -> Iterator[Batch]:
        with warnings.catch_warnings():
            # Python warns of any fork beside threads; PyTorch's workers are made for it.
            warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
            taken = iter(loader)
        try:
            for batch in taken:
                yield batch.to(self._device, non_blocking=True)
        except Exception:
            _end_workers(loader, taken)
            raise


def batches(split: Split, batch_size: int, order: torch.Generator) -> Iterator[Batch]:
    """One epoch of shuffled batches of exactly `batch_size` samples, or of all if there are fewer.

    What does not fill a batch is left out of this epoch; the next one shuffles anew.
    """
    for index in _shuffled(len(split), batch_size, order).to(_place(split)):
        yield split.take(index)


def in_order(split: Split, size: int) -> Iterator[Batch]:
    """All samples in their order, `size` at a time, from where they lie."""
    place = _place(split)
    for start in range(0, len(split), size):
        yield split.take(torch.arange(start, min(start + size, len(split)), device=place))


def epoch_shape(samples: int, batch_size: int) -> tuple[int, int]:
    """Steps of an epoch over so many samples, and the samples of each step."""
    size = min(batch_size, samples)
    return samples // size, size


def _shuffled(samples: int, batch_size: int, order: torch.Generator) -> torch.Tensor:
    """The indices of an epoch, a row for each step."""
    steps, size = epoch_shape(samples, batch_size)
    return torch.randperm(samples, generator=order)[: steps * size].view(steps, size)


def _place(split: Split) -> torch.device:
    return next(iter(split.labelled.values())).device


class _Taken(Dataset[Batch]):
    """A split as PyTorch's loader reads it: an item is the batch at some indices."""

    def __init__(self, split: Split) -> None:
        self._split = split

    def __getitem__(self, index: Indices) -> Batch:
        return self._split.take(torch.from_numpy(index))


class _Shuffled:
    """The indices of `batches`, anew in every epoch; arrays, which go to workers by value."""

    def __init__(self, samples: int, batch_size: int, order: torch.Generator) -> None:
        self._samples, self._batch_size, self._order = samples, batch_size, order

    def __iter__(self) -> Iterator[Indices]:
        # Drawn when an epoch begins, not before: checkpoints keep the generator's state.
        yield from _shuffled(self._samples, self._batch_size, self._order).numpy()


class _Ordered:
    """The indices of `in_order`."""

    def __init__(self, samples: int, size: int) -> None:
        self._samples, self._size = samples, size

    def __iter__(self) -> Iterator[Indices]:
        for start in range(0, self._samples, self._size):
            yield np.arange(start, min(start + self._size, self._samples))


def _end_workers(loader: DataLoader[Batch], taken: Iterator[Batch]) -> None:
    """End the processes now, as one of them has raised.

    The exception, which refers to itself, would keep them until a garbage collection; and that
    closes the queues first, so that they wait 5 s for their end.
    """
    loader._iterator = None
    if hasattr(taken, "_shutdown_workers"):  # not without workers
        taken._shutdown_workers()


def _as_it_is(batch: Batch) -> Batch:
    return batch
