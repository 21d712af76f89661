"""Peak memory of one step, measured apart from its times."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch.profiler import DeviceType, ProfilerActivity, profile

_MIB = 2**20


def peak_memory_mib(step: Callable[[], None], device: torch.device) -> float:
    """Peak memory of one call of `step`, in MiB, on a device of type `cpu` or `cuda`.

    On CUDA: the most that the caching allocator had handed out at once, which includes what was
    resident before (`torch.cuda.max_memory_allocated`). On a CPU: the largest rise of the running
    sum of the allocator events of one profiled call, which is what the step needs beyond what stays
    resident throughout; scratch memory that libraries take past the allocator is not in it. The
    two do not compare. Run a step before this one: the first makes the optimizer's state.

    Raises ValueError for any other device.
    """
    if device.type == "cpu":
        return largest_rise(_cpu_allocations(step)) / _MIB
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        step()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) / _MIB
    raise ValueError(f"device must be of type cpu or cuda, found {device}")


def largest_rise(changes: Iterable[int]) -> int:
    """The most by which the running sum of `changes` exceeds a value it had before, 0 at the start.

    Unlike the maximum of the running sum it does not depend on what a step frees first: gradients
    that the step before left behind would otherwise hide as much of the peak.
    """
    above_lowest = rise = 0
    for change in changes:
        above_lowest = max(0, above_lowest + change)
        rise = max(rise, above_lowest)
    return rise


def _cpu_allocations(step: Callable[[], None]) -> list[int]:
    """Bytes taken (positive) and given back (negative) by one call, in the order of time."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        step()
    # `recorded.events()` would be the documented way, but it adds up what happens inside one
    # operator, and a peak inside an operator disappears.
    profiler = recorded.profiler
    if profiler is None or profiler.kineto_results is None:
        raise RuntimeError("the profiler recorded nothing: another profiler may be running")
    events = [
        (event.start_ns(), event.nbytes())
        for event in profiler.kineto_results.events()
        if event.name() == "[memory]" and event.device_type() == DeviceType.CPU
    ]
    return [nbytes for _, nbytes in sorted(events, key=lambda event: event[0])]
