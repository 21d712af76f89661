from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bench.timing import sensors
from bench.timing.sensors import CpuSensor, NoSensor, NvmlSensor, gpu_settings, sensor_for


def _spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="needs Linux")
def test_another_process_makes_the_machine_busy_and_this_one_does_not() -> None:
    sensor = CpuSensor()
    spin = [sys.executable, "-c", "while True: pass"]
    with subprocess.Popen(spin) as other:
        time.sleep(0.2)
        sensor.start()
        time.sleep(0.5)
        reading = sensor.stop()
        other.kill()
    assert float(reading.state["other_cores"]) > 0.5
    assert reading.flags == ("busy",)


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="needs Linux")
def test_what_a_process_has_started_is_its_own() -> None:
    before = sensors._own_cpu_s()
    child = multiprocessing.get_context("spawn").Process(target=_spin, args=(1.0,))
    child.start()
    deadline = time.perf_counter() + 20
    while sensors._cpu_s_of(child.pid or 0) < 0.5 and time.perf_counter() < deadline:
        time.sleep(0.05)
    assert sensors._own_cpu_s() - before >= 0.5
    child.kill()
    child.join()


@pytest.mark.parametrize(
    ("others_s", "flags"), [(0.05, ()), (0.11, ()), (0.13, ("busy",)), (1.0, ("busy",))]
)
def test_busy_is_a_fifth_of_a_core(
    others_s: float, flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Half a second, of which this process worked 0.3 s; 0.02 s are the resolution.
    times = iter([10.0, 10.5])
    own = iter([1.0, 1.3])
    everything = iter([100.0, 100.3 + others_s])
    monkeypatch.setattr(sensors, "time", SimpleNamespace(perf_counter=lambda: next(times)))
    monkeypatch.setattr(sensors, "_own_cpu_s", lambda: next(own))
    monkeypatch.setattr(sensors, "_all_cpu_s", lambda: next(everything))
    sensor = CpuSensor()
    sensor.start()
    reading = sensor.stop()
    assert reading.flags == flags
    assert reading.state["other_cores"] == pytest.approx((others_s - 0.02) / 0.5)


def test_no_kernel_to_ask_is_nothing_to_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensors, "_all_cpu_s", lambda: None)
    sensor = CpuSensor()
    sensor.start()
    assert sensor.stop() == NoSensor().stop()


class _Error(Exception):
    pass


class _Nvml:
    """What a driver answers, in the units of NVML; what is not given it does not support."""

    NVMLError = _Error
    NVML_CLOCK_SM = 1
    NVML_TEMPERATURE_GPU = 0

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def __getattr__(self, name: str) -> Any:
        def ask(*_: object) -> Any:
            if name not in self.answers:
                raise _Error("Not Supported")
            return self.answers[name]

        return ask


def test_a_gpu_is_read_in_units() -> None:
    nvml = _Nvml(
        nvmlDeviceGetClockInfo=1980,
        nvmlDeviceGetPowerUsage=345_600,
        nvmlDeviceGetTemperature=61,
        nvmlDeviceGetCurrentClocksEventReasons=0,
        nvmlDeviceGetComputeRunningProcesses=[SimpleNamespace(pid=os.getpid())],
    )
    reading = NvmlSensor(nvml, "handle").stop()
    assert reading.state == {
        "sm_clock_mhz": 1980.0,
        "power_w": 345.6,
        "temperature_c": 61.0,
        "reasons": "0x0",
    }
    assert reading.flags == ()


@pytest.mark.parametrize(
    ("reasons", "flags"),
    [
        (0x01, ()),  # idle
        (0x02, ()),  # application clocks
        (0x04, ("power_capped",)),
        (0x08, ("throttled",)),
        (0x20, ("throttled",)),
        (0x40 | 0x04, ("throttled", "power_capped")),
        (0x80, ("throttled",)),
    ],
)
@pytest.mark.parametrize("name", ["Event", "Throttle"])
def test_reasons_that_spoil_a_chunk(reasons: int, flags: tuple[str, ...], name: str) -> None:
    nvml = _Nvml(**{f"nvmlDeviceGetCurrentClocks{name}Reasons": reasons})
    reading = NvmlSensor(nvml, "handle").stop()
    assert reading.flags == flags
    assert reading.state == {"reasons": hex(reasons)}


def test_a_gpu_that_is_shared_is_flagged() -> None:
    nvml = _Nvml(nvmlDeviceGetComputeRunningProcesses=[SimpleNamespace(pid=1)])
    assert NvmlSensor(nvml, "handle").stop().flags == ("shared",)


def test_a_driver_that_tells_nothing_does_no_harm() -> None:
    assert NvmlSensor(_Nvml(), "handle").stop() == NoSensor().stop()


def test_the_sensor_of_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(sensor_for(torch.device("cpu")), CpuSensor)
    gpu = torch.device("cuda", 0)
    monkeypatch.setitem(sys.modules, "pynvml", None)  # not installed
    assert isinstance(sensor_for(gpu), NoSensor)
    monkeypatch.setitem(sys.modules, "pynvml", _Nvml())  # no driver
    assert isinstance(sensor_for(gpu), NoSensor)
    works = _Nvml(nvmlInit=None, nvmlDeviceGetHandleByUUID="handle")
    monkeypatch.setitem(sys.modules, "pynvml", works)
    properties = SimpleNamespace(uuid="1234")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    assert isinstance(sensor_for(gpu), NvmlSensor)


def test_what_is_set_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda", 0)
    monkeypatch.setitem(sys.modules, "pynvml", _Nvml())  # no driver
    assert gpu_settings(gpu) == {}
    works = _Nvml(
        nvmlInit=None,
        nvmlDeviceGetHandleByUUID="handle",
        nvmlDeviceGetEnforcedPowerLimit=350_000,
        nvmlDeviceGetEccMode=(1, 1),
    )
    monkeypatch.setitem(sys.modules, "pynvml", works)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="1234"))
    assert gpu_settings(gpu) == {"power_limit_w": 350.0, "ecc": True, "mig": None}


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_real_gpu_tells_its_clock() -> None:
    pytest.importorskip("pynvml")
    sensor = sensor_for(torch.device("cuda", 0))
    sensor.start()
    assert float(sensor.stop().state["sm_clock_mhz"]) > 0
