from __future__ import annotations

from typing import Any

import torch

from bench.cell import TrainCell
from bench.execution.inline import run_inline


def test_records_come_one_by_one_in_order(config: dict[str, Any]) -> None:
    cells = [TrainCell(config, seed, "data", "cpu") for seed in (5, 3)]
    done = run_inline(cells, torch.device("cpu"))
    cell, record = next(done)
    assert (cell, record["seed"]) == (cells[0], 5)
    assert [record["seed"] for _, record in done] == [3]
