"""The first stages shared, the rest for each task alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from torch import Tensor, nn

from mtmm.paths import Path
from mtmm.settings import Range
from mtmm.sharing.base import Island, MakePath, Sharing
from mtmm.spec import Features, SharedSpace, Space


class Branch(Sharing):
    """Tasks share the first `depth` stages of every encoder; each has the rest for itself.

    An encoder with fewer stages is shared as a whole. One more than the longest encoder's stages
    shares the fusion too, which is `hard`; at 0 nothing is shared, as in `separate`.
    """

    spaces = frozenset({"theta"})
    fewest_tasks = 2

    def __init__(
        self,
        make_path: MakePath,
        tasks: Sequence[str],
        *,
        depth: Annotated[int, Range(low=0, high=1024)] = 1,
    ) -> None:
        super().__init__(make_path, tasks)
        self.trunk = make_path(self.tasks)
        stages = self.trunk.depth
        if depth > stages + 1:
            told = f"{stages} stages of the longest encoder and the fusion"
            raise ValueError(f"`depth` must be at most {stages + 1}, {told}; found {depth}")
        self.depth = depth
        branches = [make_path((task,)) for task in self.tasks]
        self.trunk.keep(range(depth), fusion=depth > stages)
        for branch in branches:
            branch.keep(range(depth, stages), fusion=depth <= stages)
        self.branches = nn.ModuleList(branches)
        self.theta = {"trunk": tuple(self.trunk.parameters())}

    @classmethod
    def path_count(cls, num_tasks: int, *, depth: int = 1) -> int:
        """One a task, at most."""
        return num_tasks

    @classmethod
    def spaces_with(cls, *, depth: int = 1) -> frozenset[Space]:
        """None where nothing is shared."""
        return cls.spaces if depth else frozenset()

    @classmethod
    def independent_with(cls, *, depth: int = 1) -> bool:
        """Where nothing is shared."""
        return depth == 0

    def islands(self) -> list[Island]:
        """See `Sharing.islands`."""
        if self.depth:
            return super().islands()
        branches = zip(self.tasks, self.branches, strict=True)
        return [Island((task,), list(branch.parameters())) for task, branch in branches]

    def forward(
        self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> tuple[dict[str, Features], SharedSpace]:
        """See `Sharing.forward`."""
        trails = self.trunk.start(inputs, present)
        for level in range(min(self.depth, self.trunk.depth)):
            trails = self.trunk.advance(trails, level)
        shared = SharedSpace(theta=self.theta if self.theta["trunk"] else {})
        if self.depth > self.trunk.depth:
            features = self.trunk.finish(trails, present)
            return dict.fromkeys(self.tasks, features), shared
        told = {}
        for task, branch in zip(self.tasks, self.branches, strict=True):
            assert isinstance(branch, Path)
            own = trails
            for level in range(self.depth, branch.depth):
                own = branch.advance(own, level)
            told[task] = branch.finish(own, present)
        return told, shared
