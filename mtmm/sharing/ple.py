"""Progressive layered extraction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from mtmm.settings import Range
from mtmm.sharing.base import MakePath
from mtmm.sharing.mmoe import Experts
from mtmm.sharing.progressive import Progressive


class PLE(Progressive):
    """`cgc` in `levels` groups of stages, with gates between them (Tang et al. 2020, RecSys).

    Stages are dealt out evenly; there are at most as many levels as the longest encoder has stages.
    The first gates see what a copy of every encoder's first stage makes of the inputs, later ones
    their stream, both averaged over positions.
    """

    def __init__(
        self,
        make_path: MakePath,
        tasks: Sequence[str],
        *,
        shared: Experts = 1,
        own: Experts = 1,
        levels: Annotated[int, Range(low=2, high=64)] = 2,
    ) -> None:
        super().__init__(make_path, tasks, shared=shared, own=own, levels=levels)

    @classmethod
    def path_count(cls, num_tasks: int, *, shared: int = 1, own: int = 1, levels: int = 2) -> int:
        """Experts, and at most as much for each gate."""
        return shared + (own + 1) * num_tasks + 1
