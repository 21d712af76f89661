"""What a run ran on: what must match for times to be compared, and what the machine was doing."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from bench.environment import cpu_model, device_name
from bench.timing.sensors import gpu_settings, sensor_for

_PACKAGES = ("torch", "torchvision", "triton", "numpy", "pandas", "scipy", "pillow", "matplotlib")
_PREFIXES = ("PYTORCH_", "TORCH_", "CUDA_", "CUBLAS_", "OMP_", "MKL_", "OPENBLAS_", "KMP_")


def describe(device: torch.device) -> dict[str, Any]:
    """The environment of a run, as JSON.

    `identity` is what two runs must have in common for their times to be comparable: software,
    processor, device, and the flags that change numbers or speed. `state` is what may differ from
    one minute to the next: commit, load, clocks. What cannot be found out is null.
    """
    return {
        "identity": {
            "mtmm_bench": _version("mtmm-bench"),
            "python": platform.python_version(),
            "packages": {name: _version(name) for name in _PACKAGES},
            "torch_commit": torch.version.git_version,
            "platform": platform.platform(),
            "cpu": cpu_model(),
            "cores": os.cpu_count(),
            "memory_gib": _gib(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")),
            "device": _device(device),
            "flags": _flags(),
            "variables": {k: v for k, v in sorted(os.environ.items()) if k.startswith(_PREFIXES)},
        },
        "state": {
            "git": _git(),
            "load": os.getloadavg()[0],
            "usable_cores": len(os.sched_getaffinity(0)),
            "governor": _first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            "container": _in_container(),
            "device": _device_state(device),
        },
    }


def _device(device: torch.device) -> dict[str, Any]:
    if device.type != "cuda":
        return {"type": "cpu", "name": device_name(device)}
    properties = torch.cuda.get_device_properties(device)
    return {
        "type": "cuda",
        "name": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "memory_gib": _gib(properties.total_memory),
        "l2_mib": properties.L2_cache_size / 2**20,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "driver": _first_line("/sys/module/nvidia/version"),
        **gpu_settings(device),
    }


def _device_state(device: torch.device) -> dict[str, Any]:
    """Clock, power and temperature of a GPU before anything runs, as far as they can be read."""
    return dict(sensor_for(device).stop().state) if device.type == "cuda" else {}


def _flags() -> dict[str, Any]:
    """What PyTorch was told about numbers and speed; precision through the newer names only.

    Reading an older name after a newer one was set is an error in PyTorch.
    """
    backends: Any = torch.backends  # not typed
    reads: dict[str, Callable[[], Any]] = {
        "fp32_precision.cuda.matmul": lambda: backends.cuda.matmul.fp32_precision,
        "fp32_precision.cudnn.conv": lambda: backends.cudnn.conv.fp32_precision,
        "fp32_precision.cudnn.rnn": lambda: backends.cudnn.rnn.fp32_precision,
        "fp32_precision.mkldnn.matmul": lambda: backends.mkldnn.matmul.fp32_precision,
        "cudnn.benchmark": lambda: backends.cudnn.benchmark,
        "cudnn.deterministic": lambda: backends.cudnn.deterministic,
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled,
        "interop_threads": torch.get_num_interop_threads,
    }
    flags = {}
    for name, read in reads.items():
        try:
            flags[name] = read()
        except (AttributeError, RuntimeError):
            flags[name] = None
    return flags


def _gib(size: int) -> float:
    return round(size / 2**30, 1)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _first_line(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _in_container() -> bool:
    return Path("/.dockerenv").exists() or Path("/run/.containerenv").exists()


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
