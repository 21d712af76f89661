"""A head makes a task's output from its feature; an objective judges that output.

They are two classes because they are needed apart: a model of one's own brings its outputs, and
is judged by the same losses and metrics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from torch import Tensor, nn

from mtmm.spec import Features, Task

Sums = Mapping[str, Tensor]
ClassWeights = Literal["balanced"] | Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What a metric's column means: direction, ideal value, and the version of its definition."""

    higher_is_better: bool
    ideal: float
    version: int = 1


class Objective:
    """Loss and metrics of one kind of task.

    Metrics come from sums over a whole split, never from means of batches. `primary` names the
    metric that enters the primary score.
    """

    metrics: ClassVar[Mapping[str, Metric]]
    primary: ClassVar[str]

    def __init__(self, task: Task) -> None:
        self.task = task

    def weighted(self, weights: ClassWeights, target: Tensor, labelled: Tensor) -> Self:
        """The same objective with classes weighted in `loss`, and nowhere else.

        `weights` are one number a class, or `balanced` by how often each occurs among these
        training labels. Raises ValueError where they do not fit the task.
        """
        text = f"task '{self.task.name}' of kind '{self.task.kind}' has no classes to weigh"
        raise ValueError(f"`class_weights` needs tasks with classes; {text}")

    def unfit(self, target: Tensor, labelled: Tensor) -> str | None:
        """What the targets of a split must be and are not, for a message; None if they will do."""
        return None

    def loss(self, output: Tensor, target: Tensor, labelled: Tensor) -> Tensor:
        """The mean loss over the labelled samples (0 if there are none), a scalar."""
        raise NotImplementedError

    def sums(self, device: object) -> Sums:
        """The sums of no sample."""
        raise NotImplementedError

    def update(self, sums: Sums, output: Tensor, target: Tensor, labelled: Tensor) -> Sums:
        """`sums` and one more batch."""
        raise NotImplementedError

    def measure(self, sums: Sums) -> dict[str, float]:
        """Every metric, and `loss`, of all samples in `sums`; NaN without a labelled one."""
        raise NotImplementedError

    def constant(self, target: Tensor, labelled: Tensor) -> Tensor:
        """The best constant output for these targets, shaped as the output of one sample."""
        raise NotImplementedError


class Head(nn.Module):
    """From a task's feature of width `dim` to its output.

    It serves the kind of tasks that it is named after, and those in `kinds`.
    """

    objective: ClassVar[type[Objective]]
    kinds: ClassVar[frozenset[str]] = frozenset()

    def forward(self, features: Features) -> Tensor:
        """The task's output, `[B, ...]`."""
        raise NotImplementedError
