"""What a run ran on: machine, software and the settings that change numbers or speed."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

_PACKAGES = ("torch", "torchvision", "numpy", "pandas", "scipy", "pillow", "matplotlib")
_PREFIXES = ("PYTORCH_", "CUDA_", "CUBLAS_", "OMP_", "MKL_", "OPENBLAS_")


def describe(device: torch.device) -> dict[str, Any]:
    """The environment, apart from what changes from minute to minute."""
    return {
        "mtmm_bench": _version("mtmm-bench"),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "device": _device(device),
        "git": _git(),
        "variables": {k: v for k, v in sorted(os.environ.items()) if k.startswith(_PREFIXES)},
    }


def device_name(device: torch.device) -> str:
    """The name under which times may be compared: the GPU's, or the CPU's with its cores."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_cpu_model()} ({os.cpu_count()} cores)"


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


def _device(device: torch.device) -> dict[str, Any]:
    if device.type != "cuda":
        return {"type": "cpu", "name": device_name(device)}
    properties = torch.cuda.get_device_properties(device)
    return {
        "type": "cuda",
        "name": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "memory_gib": round(properties.total_memory / 2**30, 1),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git() -> dict[str, Any] | None:
    """Commit and state of the checkout this code runs from, None outside of one."""
    here = Path(__file__).resolve().parent
    try:
        commit = _run(here, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_run(here, "status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=5,
    )
    return done.stdout.strip()


def command() -> str:
    """The command line, for the report."""
    return " ".join(["mtmm-bench", *sys.argv[1:]])
