"""What a run ran on: machine, software and the settings that change numbers or speed."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from pathlib import Path

import torch

from bench.lines import without_password


def device_name(device: torch.device) -> str:
    """The name under which times may be compared: the GPU's, or the CPU's with its cores."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{cpu_model()} ({os.cpu_count()} cores)"


def pick_devices(wanted: str) -> tuple[torch.device, ...]:
    """The devices of a list such as `cuda:0,cuda:1`, or the one of `auto`, `cpu` or `cuda`.

    Raises ValueError where one is not there or named twice, and for a CPU among others.
    """
    devices = tuple(pick_device(one.strip()) for one in wanted.split(","))
    if len(devices) > 1 and (len(set(devices)) < len(devices) or devices[0].type == "cpu"):
        raise ValueError(f"several devices must be different GPUs; found '{wanted}'")
    if len({device.type for device in devices}) > 1:
        raise ValueError(f"several devices must be of one type; found '{wanted}'")
    return devices


def pick_device(wanted: str) -> torch.device:
    """`auto` is CUDA where there is one; ValueError where what is wanted is not there."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ValueError(f"device must be auto, cpu, cuda or cuda:N; found '{wanted}'")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device '{wanted}': this PyTorch ({torch.__version__}) sees no CUDA device"
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ValueError(f"device '{wanted}': there are {count} CUDA devices, counted from 0")
    return device


def cpu_model() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def command() -> str:
    """The command line, to be pasted into a shell again; passwords of URLs are left out."""
    return shlex.join(["mtmm-bench", *map(without_password, sys.argv[1:])])
