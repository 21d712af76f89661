"""How tasks share paths: wiring, not a subclass tree of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

from torch import Tensor, nn

from mtmm.paths import Path
from mtmm.spec import Features, SharedSpace, Space


class MakePath(Protocol):
    """Builds the path that those tasks use; paths of the same tasks differ by their `place`."""

    def __call__(self, users: Sequence[str], place: str = "") -> Path:
        """A path initialised from the tasks' names and its place."""
        ...


class Island(NamedTuple):
    """Tasks that no other task influences, and the parameters that they use."""

    tasks: tuple[str, ...]
    parameters: list[nn.Parameter]


class Sharing(nn.Module):
    """`make_path(users)` builds the path those tasks use; a subclass wires paths to tasks.

    `spaces` says which gradient spaces the architecture has. Where `independent` is true no task
    can influence another: each is an island, chooses its epoch and is clipped on its own. Where
    `whole_paths` is true it calls `path_count` paths as they are and has no parameters besides.
    Where `joins_modalities` is true modalities meet before they are fused, as in a gate that sees
    all of them. With less than `fewest_tasks` it has no meaning.
    """

    spaces: ClassVar[frozenset[Space]] = frozenset()
    independent: ClassVar[bool] = False
    whole_paths: ClassVar[bool] = False
    joins_modalities: ClassVar[bool] = False
    fewest_tasks: ClassVar[int] = 1
    theta: Mapping[str, tuple[nn.Parameter, ...]]
    """What more than one task uses, by part; one of your own need not say it beforehand."""

    def __init__(self, make_path: MakePath, tasks: Sequence[str]) -> None:
        super().__init__()
        self.tasks = tuple(tasks)

    @classmethod
    def path_count(cls, num_tasks: int, *_: Any, **settings: Any) -> int:
        """How many paths it builds at most for that many tasks and these settings."""
        return num_tasks

    @classmethod
    def spaces_with(cls, *_: Any, **settings: Any) -> frozenset[Space]:
        """The gradient spaces with these settings."""
        return cls.spaces

    @classmethod
    def independent_with(cls, *_: Any, **settings: Any) -> bool:
        """Whether no task can influence another with these settings."""
        return cls.independent

    def islands(self) -> list[Island]:
        """The sharing's parameters by tasks that cannot influence each other; here all together.

        An `independent` sharing overrides it, with an island for each task in their order.
        """
        if self.independent:
            raise NotImplementedError(f"{type(self).__name__} is independent and has no `islands`")
        return [Island(self.tasks, list(self.parameters()))]

    def forward(
        self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> tuple[dict[str, Features], SharedSpace]:
        """Each task's features, and where the tasks meet in this step."""
        raise NotImplementedError
