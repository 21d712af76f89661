"""The harness: declarative suites, paired runs, timing and reports.

All but errors is loaded on first use: `import bench` alone imports no PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bench.errors import InputError

if TYPE_CHECKING:
    from bench.api import load, plan, run
    from bench.kept import load_model, load_predictions
    from bench.recording import record

__all__ = ["InputError", "load", "load_model", "load_predictions", "plan", "record", "run"]

_PLACES = {
    "load": "bench.api",
    "load_model": "bench.kept",
    "load_predictions": "bench.kept",
    "plan": "bench.api",
    "record": "bench.recording",
    "run": "bench.api",
}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'bench' has no attribute {name!r}")
