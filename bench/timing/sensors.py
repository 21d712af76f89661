"""What a machine was doing while something was timed on it, and whether that spoils the times."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import torch

State = Mapping[str, float | str]

BUSY_CORES = 0.2
"""From this many cores kept busy by others on, a chunk timed on a CPU is flagged."""

THROTTLED = {
    "hw_slowdown": 0x08,
    "sw_thermal": 0x20,
    "hw_thermal": 0x40,
    "power_brake": 0x80,
}
"""Bits of NVML's clock event reasons that mean a GPU runs slower than it should."""

POWER_CAP = 0x04
"""The bit of NVML's clock event reasons that means the power limit holds the clock down."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a sensor found during a chunk: `state` by name and unit, `flags` what is wrong."""

    state: State = field(default_factory=dict)
    flags: tuple[str, ...] = ()


class Sensor(Protocol):
    """Watches the machine from `start` to `stop`; neither may take long."""

    def start(self) -> None:
        """Begin to watch."""
        ...

    def stop(self) -> Reading:
        """What there was to see since."""
        ...


class NoSensor:
    """Sees nothing."""

    def start(self) -> None:
        """Begin to watch."""

    def stop(self) -> Reading:
        """Nothing."""
        return Reading()


class CpuSensor:
    """The cores that others kept busy: other processes, the kernel, other virtual machines.

    `state` has `other_cores` (cores busy or stolen, on average, besides this process) and `load`
    (of the last minute); the flag is `busy`. Linux only; elsewhere there is nothing to see.
    """

    def start(self) -> None:
        """Begin to watch."""
        self._started_s = time.perf_counter()
        self._all_s, self._own_s = _all_cpu_s(), _own_cpu_s()

    def stop(self) -> Reading:
        """What there was to see since."""
        elapsed_s = time.perf_counter() - self._started_s
        all_s = _all_cpu_s()
        if all_s is None or self._all_s is None or elapsed_s <= 0:
            return Reading()
        others_s = all_s - self._all_s - (_own_cpu_s() - self._own_s)
        # The kernel counts in hundredths of a second.
        other_cores = max(0.0, others_s - 0.02) / elapsed_s
        state = {"other_cores": other_cores, "load": os.getloadavg()[0]}
        return Reading(state, ("busy",) if other_cores > BUSY_CORES else ())


def _all_cpu_s(stat: Path = Path("/proc/stat")) -> float | None:
    """Seconds that all cores were busy since the start of the machine, stolen ones included."""
    try:
        first = stat.read_text(encoding="ascii").splitlines()[0].split()
    except (OSError, IndexError):
        return None
    user, nice, system, _idle, _wait, irq, softirq, steal = (int(x) for x in first[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _own_cpu_s() -> float:
    """Seconds that this process and those it has started, such as a loader's, have worked."""
    started = (process.pid for process in multiprocessing.active_children())
    return time.process_time() + sum(_cpu_s_of(pid) for pid in started if pid is not None)


def _cpu_s_of(pid: int) -> float:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0  # it has ended
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class NvmlSensor:
    """Clock, power, temperature and clock event reasons of an NVIDIA GPU, read at the end.

    `state` has `sm_clock_mhz`, `power_w`, `temperature_c` and `reasons` (NVML's bits, in
    hexadecimal) as far as the driver tells them. Flags: `throttled` (too hot, or slowed down by
    hardware), `power_capped`, and `shared` where another process holds the GPU, as far as NVML's
    process numbers are those that this process sees (in a container they may not be).
    """

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle

    def start(self) -> None:
        """Begin to watch."""

    def stop(self) -> Reading:
        """What there is to see now: the chunk has kept the GPU busy until here."""
        nvml, handle = self._nvml, self._handle
        reads = {
            "sm_clock_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
            "power_w": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1e3,
            "temperature_c": lambda: nvml.nvmlDeviceGetTemperature(
                handle, nvml.NVML_TEMPERATURE_GPU
            ),
        }
        state: dict[str, float | str] = {}
        for name, read in reads.items():
            value = self._told(read)
            if value is not None:
                state[name] = float(value)
        flags = []
        reasons = self._told(lambda: nvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
        if reasons is None:  # the name of drivers before 535
            reasons = self._told(lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
        if reasons is not None:
            state["reasons"] = hex(reasons)
            flags += ["throttled"] if reasons & sum(THROTTLED.values()) else []
            flags += ["power_capped"] if reasons & POWER_CAP else []
        running = self._told(lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle)) or []
        if any(process.pid not in (os.getpid(), os.getppid()) for process in running):
            flags.append("shared")
        return Reading(state, tuple(flags))

    def _told(self, read: Callable[[], Any]) -> Any:
        return _told(self._nvml, read)


def sensor_for(device: torch.device) -> Sensor:
    """The sensor of a device; without nvidia-ml-py or its library a GPU has none."""
    if device.type == "cpu":
        return CpuSensor()
    opened = _opened(device)
    return NoSensor() if opened is None else NvmlSensor(*opened)


def gpu_settings(device: torch.device) -> dict[str, Any]:
    """What an administrator has set of an NVIDIA GPU; empty where NVML cannot be asked.

    `power_limit_w`, `ecc` and `mig` (whether they are on), None for what this GPU does not have.
    """
    opened = _opened(device)
    if opened is None:
        return {}
    nvml, handle = opened
    limit = _told(nvml, lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3)
    ecc = _told(nvml, lambda: nvml.nvmlDeviceGetEccMode(handle)[0])
    mig = _told(nvml, lambda: nvml.nvmlDeviceGetMigMode(handle)[0])
    return {
        "power_limit_w": limit,
        "ecc": None if ecc is None else bool(ecc),
        "mig": None if mig is None else bool(mig),
    }


def _opened(device: torch.device) -> tuple[Any, Any] | None:
    """NVML and its handle of a GPU, where there are both."""
    try:
        nvml = import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
        uuid = torch.cuda.get_device_properties(device).uuid
        return nvml, nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    except nvml.NVMLError:
        return None


def _told(nvml: Any, read: Callable[[], Any]) -> Any:
    # Drivers and virtual GPUs support some of these and not others.
    try:
        return read()
    except nvml.NVMLError:
        return None
