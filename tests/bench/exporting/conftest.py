"""Results with what is hard to export: odd names, mixed settings, a failure, a gap, a curve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import bench
from bench.store import Store

CURVE: list[dict[str, Any]] = [
    {
        "epoch": epoch,
        "loss": {"digit": 1 / epoch},
        "val": {"digit": {"accuracy": 0.3 * epoch, "loss": None}},
        "val_score": 0.25 * epoch,
        "weights": {"digit": 1.0},
        "gradients": {"norms": {"digit": 2.0}, "cosines": {}},
    }
    for epoch in (1, 2)
]


def amend(root: Path, identity: str, **changes: Any) -> None:
    """Write a record anew with other contents."""
    store = Store(root)
    store.write(identity, {**store.look(identity), **changes})


def record(root: Path, variant: str = "plain", seed: int = 0, **more: Any) -> str:
    given: dict[str, Any] = {"metrics": {"digit": {"accuracy": 0.5}}, "seconds": 2.5, **more}
    return bench.record("own", variant=variant, seed=seed, results=root, **given)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The folder of four train cells: one with a curve, one odd, one failed, one without record."""
    root = tmp_path / "results"
    settings: dict[str, Any] = {"lr": 0.1, "width": 8, "clip": None, "nesterov": True, "on": True}
    amend(root, record(root, config=settings), curve=CURVE, started="2026-01-02T03:04:05+00:00")
    record(
        root,
        "é=1, w/o 'x'\n",
        metrics={"a b": {"accuracy": 0.75}, "a/b": {"accuracy": 0.25}},
        config={"lr": 1, "width": "wide", "on": False, "..": "=1+1", "": "-"},
    )
    failed = record(root, seed=1)
    amend(root, failed, status="diverged", reason="a loss was not finite")
    Store(root).path(record(root, seed=2)).unlink()
    return root / "own"
