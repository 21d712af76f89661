"""What judges a model's outputs: an objective for each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch

from mtmm.heads import HEADS
from mtmm.heads.base import ClassWeights, Objective
from mtmm.settings import listed, nearest
from mtmm.spec import Split, Task


def objectives(
    tasks: Sequence[Task], heads: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Objective]:
    """What judges each task's output: that of its head in a resolved `heads:`, else of its kind."""
    chosen = {task.name: task.kind if heads is None else heads[task.name]["name"] for task in tasks}
    return {task.name: HEADS[chosen[task.name]].objective(task) for task in tasks}


def weighted(
    judged: Mapping[str, Objective],
    class_weights: Literal["balanced"] | Mapping[str, ClassWeights],
    train: Split,
    device: torch.device,
) -> dict[str, Objective]:
    """The objectives with weighted classes: of every task, or of those named.

    `train` holds the labels that `balanced` weights come from; the weights are on `device`. Raises
    ValueError for a task that is not there or has no classes, and for weights that do not fit.
    """
    if class_weights == "balanced":
        class_weights = dict.fromkeys(judged, "balanced")
    for name in class_weights:
        if name not in judged:
            hint = f"{nearest(name, judged)} (there are: {listed(judged)})"
            raise ValueError(f"`class_weights` must name tasks; found '{name}'{hint}")
    labels = {task: (train.targets[task], train.labelled[task]) for task in class_weights}
    return {
        **judged,
        **{
            task: judged[task].weighted(weights, *(part.to(device) for part in labels[task]))
            for task, weights in class_weights.items()
        },
    }
