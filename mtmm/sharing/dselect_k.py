"""Experts of which each task chooses a few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from mtmm.settings import Range
from mtmm.sharing.base import MakePath
from mtmm.sharing.gates import Selectors
from mtmm.sharing.mmoe import Mixture


class DSelectK(Mixture):
    """`mmoe` with gates that come to choose at most `k` of the `experts` (Hazimeh et al. 2021,
    arXiv 2106.03760), without the paper's entropy penalty.

    `experts` is a power of 2, at least `k`. All experts are computed.
    """

    def __init__(
        self,
        make_path: MakePath,
        tasks: Sequence[str],
        *,
        experts: Annotated[int, Range(low=2, high=256)] = 4,
        k: Annotated[int, Range(low=1, high=256)] = 2,
    ) -> None:
        super().__init__(make_path, tasks, experts, lambda width: Selectors(width, experts, k))

    @classmethod
    def path_count(cls, num_tasks: int, *, experts: int = 4, k: int = 2) -> int:
        """Experts, and at most as much for each gate."""
        return experts + num_tasks
