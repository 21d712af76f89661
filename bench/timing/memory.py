"""Peak memory of one step and its phases, measured apart from their times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch.profiler import DeviceType, ProfilerActivity, profile, record_function

_MIB = 2**20
_MARK = "mtmm-bench: mark"

Mark = Callable[[], None]


def peak_memory_mib(
    step: Callable[[Mark], None], phases: Sequence[str], device: torch.device
) -> dict[str, float]:
    """Peak memory of each phase of one call of `step`, in MiB, on a `cpu` or `cuda` device.

    `step` calls what it is given at its start and after each phase. On CUDA: the most that the
    caching allocator had handed out at once, which includes what was resident before
    (`torch.cuda.max_memory_allocated`). On a CPU: the largest rise of the running sum of the
    allocator events of one profiled step, which is what the step needs beyond what stays resident
    throughout; scratch memory that libraries take past the allocator is not in it. The two do not
    compare. Run a step before this one: the first makes the optimizer's state.

    Raises ValueError for any other device.
    """
    if device.type == "cpu":
        peaks = largest_rises(_cpu_allocations(step))[1:]
    elif device.type == "cuda":
        peaks = _cuda_peaks(step, device, torch.cuda.max_memory_allocated)
    else:
        raise ValueError(f"device must be of type cpu or cuda, found {device}")
    largest: dict[str, float] = {}
    for name, peak in zip(phases, peaks, strict=True):  # a phase may come more than once
        largest[name] = max(largest.get(name, 0.0), peak / _MIB)
    return largest


def reserved_memory_mib(step: Callable[[Mark], None], device: torch.device) -> float:
    """The most that the caching allocator held of a CUDA device during a step, in MiB."""
    return max(_cuda_peaks(step, device, torch.cuda.max_memory_reserved)) / _MIB


def largest_rises(phases: Iterable[Iterable[int]]) -> list[int]:
    """Per phase, the most by which the running sum of changes exceeds a value it had before.

    The running sum starts at 0 and goes through all phases. Unlike its maximum, the rise does not
    depend on what a step frees first: gradients that the step before left behind would otherwise
    hide as much of the peak.
    """
    above_lowest, rises = 0, []
    for changes in phases:
        rise = above_lowest
        for change in changes:
            above_lowest = max(0, above_lowest + change)
            rise = max(rise, above_lowest)
        rises.append(rise)
    return rises


def _cuda_peaks(
    step: Callable[[Mark], None], device: torch.device, read: Callable[[torch.device], int]
) -> list[int]:
    """What the allocator, which works on the host, has counted between the marks."""
    peaks: list[int] = []

    def mark() -> None:
        peaks.append(read(device))
        torch.cuda.reset_peak_memory_stats(device)

    step(mark)
    return peaks[1:]


def _cpu_allocations(step: Callable[[Mark], None]) -> list[list[int]]:
    """Bytes taken (positive) and given back (negative) before each mark and after the last but one.

    One list for what came before the first mark, then one for each phase.
    """

    def mark() -> None:
        with record_function(_MARK):
            pass

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        step(mark)
    # `recorded.events()` would be the documented way, but it adds up what happens inside one
    # operator, and a peak inside an operator disappears.
    profiler = recorded.profiler
    if profiler is None or profiler.kineto_results is None:
        raise RuntimeError("the profiler recorded nothing: another profiler may be running")
    phases: list[list[int]] = [[]]
    for event in sorted(profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == _MARK:
            phases.append([])
        elif event.name() == "[memory]" and event.device_type() == DeviceType.CPU:
            phases[-1].append(event.nbytes())
    last = phases.pop()
    phases[-1] += last  # what is freed when the step returns
    return phases
