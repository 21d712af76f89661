"""The harness: declarative suites, paired runs, timing and reports.

`plan`, `run`, `load` and `record` are loaded on first use: `import bench` alone imports no PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.errors import InputError

if TYPE_CHECKING:
    from bench.api import load, plan, run
    from bench.recording import record

__all__ = ["InputError", "load", "plan", "record", "run"]


def __getattr__(name: str) -> Any:
    if name == "record":
        from bench.recording import record

        return record
    if name in __all__:
        from bench import api

        return getattr(api, name)
    raise AttributeError(f"module 'bench' has no attribute {name!r}")
