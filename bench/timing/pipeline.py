"""The step of a variant with all that it waits for: the next batch, then the step on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bench.loading import Feed, epoch_shape, feed_of
from bench.training import build_step
from mtmm.seeding import generator
from mtmm.spec import Batch, DataBundle

Config = Mapping[str, Any]

_SEED = 0  # of the weights and the order; a step costs the same whatever they are


class PipelineWorkload:
    """The optimisation step of a variant on batches that come as they do in training.

    They are those of one epoch after the other, of as many samples as the batch given.
    """

    def __init__(self, config: Config, bundle: DataBundle, batch: Batch) -> None:
        _, self.samples = epoch_shape(len(bundle.train), len(batch))
        settings = {**config["train"], "batch_size": self.samples}
        order = generator(_SEED, "order")
        # Its worker processes end with this object.
        self._batches = _endless(feed_of(settings, bundle.train, batch.device, order))
        self._step = build_step(config, bundle, seed=_SEED, device=batch.device)
        self.phases = ("data", *self._step.phases)
        self.model, self.around = self._step.model, self._step.around

    def step(self, mark: Callable[[], None]) -> None:
        """See `Workload.step`."""
        mark()
        self._step(next(self._batches), mark)


def _endless(feed: Feed) -> Iterator[Batch]:
    while True:
        yield from feed.epoch()
