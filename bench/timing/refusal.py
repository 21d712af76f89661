"""What makes times meaningless and can be known before anything is timed."""

from __future__ import annotations

import os

import torch

from bench.errors import InputError


def check_environment(device: torch.device) -> None:
    """InputError where a variable of the environment changes what is timed."""
    blocking = os.environ.get("CUDA_LAUNCH_BLOCKING", "0")
    if device.type == "cuda" and blocking not in ("", "0"):
        raise InputError(
            f"CUDA_LAUNCH_BLOCKING is '{blocking}': every launch waits for the GPU, and no time "
            "means anything. Unset it, or write `timing: off` in the suite"
        )
