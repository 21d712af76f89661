"""Which epoch counts: the best on val, for each group of tasks that cannot influence another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from bench.evaluation import primary_score

Weights = dict[str, Tensor]


@dataclass
class Selection:
    """The best epoch by the score on val, for one group of tasks; `closed` once it stands."""

    tasks: tuple[str, ...]
    score: float = -math.inf
    epoch: int = 0
    closed: bool = False


@dataclass
class Progress:
    """What a run has learned about itself so far."""

    curve: list[dict[str, Any]] = field(default_factory=list)
    selections: list[Selection] = field(default_factory=list)
    weights: dict[int, Weights] = field(default_factory=dict)
    """Weights after the epochs that some selection holds best."""
    steps: int = 0
    seconds: float = 0.0

    @property
    def open_tasks(self) -> set[str]:
        """The tasks whose best epoch may still come."""
        return {task for choice in self.selections if not choice.closed for task in choice.tasks}


def select(
    progress: Progress,
    model: nn.Module,
    epoch: int,
    scores: Mapping[str, float],
    patience: int | None = None,
) -> None:
    """Note where this epoch is the best so far, and keep the weights that are needed for it.

    A choice that has stood for `patience` epochs is final.
    """
    for selection in progress.selections:
        if selection.closed:
            continue
        score = primary_score({task: scores[task] for task in selection.tasks})
        if score > selection.score or selection.epoch == 0:
            selection.score, selection.epoch = score, epoch
        selection.closed = patience is not None and epoch - selection.epoch >= patience
    needed = {selection.epoch for selection in progress.selections}
    if epoch in needed:
        progress.weights[epoch] = {
            name: value.detach().clone() for name, value in model.state_dict().items()
        }
    for old in set(progress.weights) - needed:
        del progress.weights[old]
