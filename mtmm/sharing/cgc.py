"""Customised gate control."""

from __future__ import annotations

from collections.abc import Sequence

from mtmm.sharing.base import MakePath
from mtmm.sharing.mmoe import Experts
from mtmm.sharing.progressive import Progressive


class CGC(Progressive):
    """`shared` experts for all tasks and `own` for each, mixed by a gate of each task (Tang et al.
    2020, RecSys): `ple` of one level.

    A gate sees what a copy of every encoder's first stage makes of the inputs, averaged over
    positions.
    """

    def __init__(
        self, make_path: MakePath, tasks: Sequence[str], *, shared: Experts = 1, own: Experts = 1
    ) -> None:
        super().__init__(make_path, tasks, shared=shared, own=own, levels=1)

    @classmethod
    def path_count(cls, num_tasks: int, *, shared: int = 1, own: int = 1) -> int:
        """Experts, and at most as much for each gate."""
        return shared + (own + 1) * num_tasks
