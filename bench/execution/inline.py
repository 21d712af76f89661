"""Train cells one after another in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from bench.cell import TrainCell
from bench.execution.unit import Record, run_cell


def run_inline(
    cells: Iterable[TrainCell], device: torch.device
) -> Iterator[tuple[TrainCell, Record]]:
    """Each cell with its record, as soon as it is there."""
    for cell in cells:
        yield cell, run_cell(cell, device)
