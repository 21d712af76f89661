"""How tasks share paths: wiring, not a subclass tree of models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Literal

from torch import Tensor, nn

from mtmm.paths import Path
from mtmm.spec import Features, SharedSpace

Space = Literal["theta", "z", "last"]
MakePath = Callable[[Sequence[str]], Path]


class Sharing(nn.Module):
    """`make_path(users)` builds the path those tasks use; a subclass wires paths to tasks.

    `spaces` says which gradient spaces the architecture has. Where `independent` is true no task
    can influence another, and the epoch is chosen for each task on its own.
    """

    spaces: ClassVar[frozenset[Space]] = frozenset()
    independent: ClassVar[bool] = False

    def __init__(self, make_path: MakePath, tasks: Sequence[str]) -> None:
        super().__init__()
        self.tasks = tuple(tasks)

    def forward(
        self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> tuple[dict[str, Features], SharedSpace]:
        """Each task's features, and where the tasks meet in this step."""
        raise NotImplementedError
