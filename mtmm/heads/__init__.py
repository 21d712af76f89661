"""Heads by the kind of task they serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mtmm.heads.base import Head, Objective
from mtmm.heads.classification import ClassificationHead
from mtmm.spec import Task

HEADS: Mapping[str, type[Head]] = {
    "classification": ClassificationHead,
}


def objectives(tasks: Sequence[Task]) -> dict[str, Objective]:
    """What judges each task's output."""
    return {task.name: HEADS[task.kind].objective(task) for task in tasks}
