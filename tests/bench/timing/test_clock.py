from __future__ import annotations

import time

import pytest
import torch

from bench.timing.clock import Clock, CpuClock, CudaClock, clock_for, steps_marked


def test_cpu_clock_reads_phases_of_a_sleep() -> None:
    clock = CpuClock()
    clock.start()
    for _ in range(2):
        clock.mark()
        time.sleep(0.002)
        clock.mark()
        time.sleep(0.006)
        clock.mark()
        time.sleep(0.004)
    chunk = clock.stop(phases=2)

    assert chunk.steps == 2
    assert chunk.phase_ms.shape == (2, 2)
    # A sleep is never shorter than asked; how much longer it is depends on the machine's load.
    assert (chunk.phase_ms >= [2.0, 6.0]).all()
    assert (chunk.phase_ms <= [100.0, 100.0]).all()
    assert chunk.step_ms.tolist() == chunk.phase_ms.sum(axis=1).tolist()
    assert chunk.wall_ms >= chunk.step_ms.sum() + 2 * 4.0


def test_start_forgets_marks_of_a_chunk_that_was_abandoned() -> None:
    clock = CpuClock()
    clock.start()
    clock.mark()
    clock.start()
    clock.mark()
    clock.mark()
    assert clock.stop(phases=1).steps == 1


def test_now_advances_in_milliseconds() -> None:
    clock = CpuClock()
    before = clock.now_ms()
    time.sleep(0.005)
    assert 5.0 <= clock.now_ms() - before <= 500.0


@pytest.mark.parametrize(("marks", "phases", "steps"), [(5, 4, 1), (10, 4, 2), (4, 1, 2)])
def test_steps_marked(marks: int, phases: int, steps: int) -> None:
    assert steps_marked(marks, phases) == steps


@pytest.mark.parametrize("marks", [0, 4, 9])
def test_marks_that_do_not_fit_the_phases_are_an_error(marks: int) -> None:
    clock = CpuClock()
    clock.start()
    for _ in range(marks):
        clock.mark()
    with pytest.raises(ValueError, match=rf"must call mark\(\) 5 times, found {marks} marks"):
        clock.stop(phases=4)


def test_clock_for_picks_by_device_type() -> None:
    assert isinstance(clock_for(torch.device("cpu")), CpuClock)
    assert isinstance(clock_for(torch.device("cuda", 0)), CudaClock)
    with pytest.raises(ValueError, match="device must be of type cpu or cuda, found meta"):
        clock_for(torch.device("meta"))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_clock_times_the_device_not_the_host() -> None:
    device = torch.device("cuda")
    clock: Clock = CudaClock(device)
    small, large = (torch.randn(n, n, device=device) for n in (16, 4096))
    _ = small @ small, large @ large
    for _ in range(2):  # the second chunk reuses the events of the first
        clock.start()
        for _ in range(5):
            clock.mark()
            small @ small
            clock.mark()
            large @ large
            clock.mark()
        chunk = clock.stop(phases=2)
        small_ms, large_ms = chunk.phase_ms.min(axis=0)
        assert chunk.steps == 5
        # 137 GFLOP take more than a millisecond; queueing them takes microseconds.
        assert large_ms > 1.0
        assert small_ms < large_ms / 5
        assert chunk.step_ms.sum() <= chunk.wall_ms
