from __future__ import annotations

import pytest
import torch

from mtmm.heads import HEADS
from mtmm.heads.base import Objective
from mtmm.heads.classification import Classification, ClassificationHead
from mtmm.heads.judging import objectives, weighted
from mtmm.spec import Batch, Task

CPU = torch.device("cpu")
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


TRAIN = Batch(
    inputs={},
    targets={"s": torch.tensor([0, 0, 1, 2]), "t": torch.tensor([0, 1, 1, 1])},
    present={},
    labelled={"s": torch.tensor([True] * 4), "t": torch.tensor([True, True, True, False])},
)


def _weights(judged: dict[str, Objective]) -> dict[str, list[float] | None]:
    made = {}
    for name, objective in judged.items():
        assert isinstance(objective, Classification)
        given = objective.class_weights
        made[name] = None if given is None else given.tolist()
    return made


def test_class_weights_of_all_tasks_or_of_those_named() -> None:
    judged = objectives(TASKS)
    s = [4 / 6, 4 / 3, 4 / 3]
    assert _weights(weighted(judged, "balanced", TRAIN, CPU)) == {
        "s": pytest.approx(s),
        "t": pytest.approx([1.5, 0.75]),
    }
    assert _weights(weighted(judged, {"t": [1, 3]}, TRAIN, CPU)) == {"s": None, "t": [1.0, 3.0]}
    both = weighted(judged, {"t": [1, 3], "s": "balanced"}, TRAIN, CPU)
    assert _weights(both) == {"s": pytest.approx(s), "t": [1.0, 3.0]}
    assert list(both) == ["s", "t"]
    assert _weights(judged) == {"s": None, "t": None}


def test_class_weights_of_a_task_that_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"must name tasks; found 'u' \(there are: s, t\)"):
        weighted(objectives(TASKS), {"u": "balanced"}, TRAIN, CPU)


def test_a_kind_without_classes_refuses_class_weights() -> None:
    count = Objective(Task(name="n", kind="count"))
    with pytest.raises(ValueError, match="task 'n' of kind 'count' has no classes to weigh"):
        count.weighted("balanced", TRAIN.targets["t"], TRAIN.labelled["t"])


def test_a_head_of_ones_own_brings_its_objective(monkeypatch: pytest.MonkeyPatch) -> None:
    class Focal(Classification):
        """Another loss for the same kind."""

    class FocalHead(ClassificationHead):
        objective = Focal
        kinds = frozenset({"classification"})

    monkeypatch.setitem(HEADS, "focal", FocalHead)
    made = objectives(TASKS, {"s": {"name": "classification"}, "t": {"name": "focal"}})
    assert type(made["s"]) is Classification
    assert type(made["t"]) is Focal


@pytest.mark.parametrize("name", HEADS)
def test_the_primary_metric_is_one_of_the_metrics(name: str) -> None:
    objective: type[Objective] = HEADS[name].objective
    assert objective.primary in objective.metrics
    made = objective(TASKS[0])
    measured = made.measure(made.sums(torch.device("cpu")))
    assert set(measured) == {*objective.metrics, "loss"}
