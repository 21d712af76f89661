from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.cell import TrainCell
from bench.execution.inline import Inline
from bench.execution.worker import Job


def job(config: dict[str, Any], seed: int, folder: Path) -> Job:
    return Job(
        cell=TrainCell(config, seed, "data", "cpu"),
        device="cpu",
        data=folder,
        checkpoint=folder / "checkpoint.pt",
        kept=folder / "kept",
        log=folder / "log",
        own=(),
    )


def test_cells_are_run_when_asked_for_in_order(config: dict[str, Any], tmp_path: Path) -> None:
    inline = Inline()
    inline.start(job(config, 5, tmp_path))
    inline.start(job(config, 3, tmp_path))
    assert len(inline) == 2
    assert [record["seed"] for _, record in inline.finished(0)] == [5, 3]
    assert len(inline) == 0


def test_what_is_stopped_is_forgotten(config: dict[str, Any], tmp_path: Path) -> None:
    inline = Inline()
    inline.start(job(config, 5, tmp_path))
    inline.stop()
    assert list(inline.finished(0)) == []
