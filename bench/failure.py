"""What an exception means for the unit of work that it ended."""

from __future__ import annotations

from typing import Literal

import torch


def status_of(error: Exception) -> Literal["oom", "error"]:
    """`oom` where memory ran out, on a GPU or the CPU."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return "oom"
    # The CPU allocator raises a bare RuntimeError; its name in the text is all there is to go by.
    return "oom" if "DefaultCPUAllocator" in str(error) else "error"
