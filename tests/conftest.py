"""What many tests need: small data, a small suite, and its results."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.api import plan
from bench.variant import resolve_variant
from mtmm.components import restore, snapshot
from mtmm.data import DATASETS
from mtmm.settings import Problem
from mtmm.spec import DataBundle

SUITE: dict[str, Any] = {
    "name": "small",
    "question": "Does it run?",
    "dataset": {"name": "glyphs", "word_dropout": 0.5, "limit": 300},
    "tasks": ["script", "slant"],
    "model": {
        "encoders": {
            "image": {"name": "lenet", "channels": 2},
            "text": {"name": "lstm", "embedding": 8},
        },
        "width": 8,
    },
    "train": {"epochs": 2, "batch_size": 32, "optimizer": {"name": "adamw", "lr": 0.01}},
    "sweep": [{"sharing": ["hard", "separate"]}],
    "seeds": 2,
    "timing": "off",
}


@pytest.fixture
def suite() -> dict[str, Any]:
    """A suite of two variants and two seeds that trains in a second; change it as you like."""
    return copy.deepcopy(SUITE)


@pytest.fixture(scope="session")
def bundle() -> DataBundle:
    """300 glyphs with the tasks script and slant."""
    whole = DATASETS["glyphs"](word_dropout=0.5, limit=300)
    return whole.select(["image", "text"], ["script", "slant"])


@pytest.fixture(scope="session")
def config() -> dict[str, Any]:
    """The resolved base of the small suite."""
    problems: list[Problem] = []
    resolved = resolve_variant(SUITE, problems)
    assert not problems
    return resolved


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of the small suite, run to the end with timing."""
    from rich.console import Console

    from bench.execution.run import Options
    from bench.progress import Progress
    from bench.report.write import write_report
    from bench.running import run_plan
    from bench.store import Store

    root = tmp_path_factory.mktemp("results")
    timed = {**SUITE, "timing": {"batch_sizes": [16], "budget_s": 0.1}}
    how = Options(devices=(torch.device("cpu"),), workers=0)
    run_plan(plan(timed), Store(root), how, Progress(Console(), quiet=True))
    write_report(root / "small")
    return root / "small"


@pytest.fixture
def unloaded_after(tmp_path: Path) -> Iterator[None]:
    """Nothing stays that a test registers, loads as a plugin or imports from its folder."""
    before, modules, path = snapshot(), set(sys.modules), list(sys.path)
    yield
    restore(before)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        file = Path(getattr(sys.modules[name], "__file__", None) or "/")
        if name.startswith("mtmm_plugin_") or file.is_relative_to(tmp_path):
            del sys.modules[name]
