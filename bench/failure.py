"""What an exception means for the unit of work that it ended."""

from __future__ import annotations

from typing import Literal

import torch

from bench.numerics import NeedsCudaError
from mtmm.blame import place_of

_LONGEST = 300  # characters of a compiler's message


def status_of(error: Exception) -> Literal["oom", "error", "skipped"]:
    """`oom` where memory ran out, on a GPU or the CPU; `skipped` where the device cannot do it."""
    if isinstance(error, NeedsCudaError):
        return "skipped"
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return "oom"
    # The CPU allocator raises a bare RuntimeError; its name in the text is all there is to go by.
    return "oom" if "DefaultCPUAllocator" in str(error) else "error"


def reason_of(error: Exception) -> str:
    """What a record says of it, with the line of a user's code where it was raised.

    Of a compiler's pages it is the first paragraph.
    """
    if isinstance(error, NeedsCudaError):
        return str(error)
    text = f"{type(error).__name__}: {error}"
    if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
        place = place_of(error)
        return text if place is None else f"{text} ({place[0]}:{place[1]})"
    text = " ".join(text.split("\n\n")[0].split())
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return f"numerics.compile: {text}"
