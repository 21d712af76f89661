from __future__ import annotations

import pytest
import torch

from mtmm.heads import HEADS, objectives
from mtmm.heads.base import Objective
from mtmm.heads.classification import Classification
from mtmm.spec import Task

TASKS = (
    Task(name="s", kind="classification", classes=3),
    Task(name="t", kind="classification", classes=2),
)


def test_each_task_has_the_objective_of_its_kind() -> None:
    made = objectives(TASKS)
    assert list(made) == ["s", "t"]
    for task in TASKS:
        assert type(made[task.name]) is Classification
        assert made[task.name].task is task


@pytest.mark.parametrize("name", HEADS)
def test_the_primary_metric_is_one_of_the_metrics(name: str) -> None:
    objective: type[Objective] = HEADS[name].objective
    assert objective.primary in objective.metrics
    made = objective(TASKS[0])
    measured = made.measure(made.sums(torch.device("cpu")))
    assert set(measured) == {*objective.metrics, "loss"}
