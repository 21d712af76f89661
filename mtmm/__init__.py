"""Multi-task and multi-modal learning in PyTorch: the library under test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mtmm._version import __version__

if TYPE_CHECKING:
    from mtmm.components import register
    from mtmm.loop import backward
    from mtmm.model import build_model

__all__ = ["__version__", "backward", "build_model", "register"]


def __getattr__(name: str) -> Any:
    # PyTorch is imported on first use, so that a command's --help need not wait for it.
    if name == "backward":
        from mtmm.loop import backward

        return backward
    if name == "build_model":
        from mtmm.model import build_model

        return build_model
    if name == "register":
        from mtmm.components import register

        return register
    raise AttributeError(f"module 'mtmm' has no attribute {name!r}")
