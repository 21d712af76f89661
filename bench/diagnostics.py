"""What a training tells of its tasks besides their scores: weights and gradients by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from mtmm.gradients import Layout, gramian_of, of_losses
from mtmm.spec import SharedSpace


class Diary:
    """Sums over the steps of an epoch, on the device; nothing in a step waits for it.

    In steps 0, `every`, 2 `every`, ... the task gradients for the shared parameters are compared;
    without `every` in none. That changes no number of the training.
    """

    def __init__(self, tasks: Sequence[str], every: int | None) -> None:
        self._tasks = tuple(tasks)
        self._every = every
        self._weights = _Sum()
        self._gradients = _Sum()

    def note_losses(
        self, step: int, losses: Sequence[Tensor], shared: SharedSpace, scale: Tensor | None = None
    ) -> None:
        """Look at the gradients of the losses of a step, whose graph is kept, where that is due.

        `step` counts from the start of the training. `scale` is the factor that losses come
        multiplied with, if they do.
        """
        if self._every is None or step % self._every:
            return
        theta = [p for group in shared.theta.values() for p in group if p.requires_grad]
        if theta:
            each = of_losses(losses, theta, keep_graph=True)
            gramian = gramian_of(Layout(theta).rows(each, len(losses), theta[0])).double()
            self._gradients.add(_compared(gramian if scale is None else gramian / scale.square()))

    def note_weights(self, weights: Tensor | None) -> None:
        """Remember the weights `[T]` that a step used."""
        if weights is not None:
            self._weights.add(weights.detach().double())

    def close_epoch(self) -> dict[str, Any]:
        """What there is to tell of the epoch, as JSON; the next one begins.

        `weights`: the mean of each task's. `gradients`: means over the steps looked at, of `norms`
        by task, of `cosines` by task and later task, and `conflict_rate`, the share of pairs whose
        cosine is negative. A task without a gradient in a step is left out of it.
        """
        told: dict[str, Any] = {}
        if self._weights.count:
            means = self._weights.total / self._weights.count
            told["weights"] = dict(zip(self._tasks, means.tolist(), strict=True))
        if self._gradients.count:
            told["gradients"] = _means(self._gradients.total.cpu(), self._tasks)
        self._weights, self._gradients = _Sum(), _Sum()
        return told


class _Sum:
    """The sum of some tensors of one shape."""

    def __init__(self) -> None:
        self.total = torch.zeros(())
        self.count = 0

    def add(self, value: Tensor) -> None:
        self.total = self.total + value if self.count else value
        self.count += 1


def _compared(gramian: Tensor) -> Tensor:
    """Of every pair in a Gramian `[T, T]`: whether both have a gradient, the cosine, whether it is
    negative, and on the diagonal the norms; `[4, T, T]`, zero where one has no gradient.
    """
    norms = gramian.diagonal().sqrt()
    there = (norms > 0) & norms.isfinite()  # scaled gradients of fp16 may overflow
    cosines = (gramian / norms.outer(norms)).clamp(-1, 1)
    of_pairs = [torch.ones_like(gramian), cosines, (cosines < 0).to(gramian), norms.diag()]
    return torch.stack(of_pairs).where(there.outer(there), 0.0)


def _means(sums: Tensor, tasks: Sequence[str]) -> dict[str, Any]:
    """What the sums `[4, T, T]` of `_compared` over some steps say."""
    counts, cosines, conflicts, norms = sums
    lengths = {
        task: float(norms[i, i] / counts[i, i]) for i, task in enumerate(tasks) if counts[i, i]
    }
    told: dict[str, Any] = {"norms": lengths, "cosines": {}}
    pairs = [(i, j) for i, j in combinations(range(len(tasks)), 2) if counts[i, j]]
    for i, j in pairs:
        of_first = told["cosines"].setdefault(tasks[i], {})
        of_first[tasks[j]] = float(cosines[i, j] / counts[i, j])
    if pairs:
        rows, columns = zip(*pairs, strict=True)
        told["conflict_rate"] = float(conflicts[rows, columns].sum() / counts[rows, columns].sum())
    return told
