"""Multi-task and multi-modal learning in PyTorch: the library under test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mtmm._version import __version__

if TYPE_CHECKING:
    from mtmm.model import build_model

__all__ = ["__version__", "build_model"]


def __getattr__(name: str) -> Any:
    # PyTorch is imported on first use, so that a command's --help need not wait for it.
    if name == "build_model":
        from mtmm.model import build_model

        return build_model
    raise AttributeError(f"module 'mtmm' has no attribute {name!r}")
