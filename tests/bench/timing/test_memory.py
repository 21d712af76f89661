from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from bench.timing.memory import largest_rises, peak_memory_mib, reserved_memory_mib

CPU = torch.device("cpu")


def _mib(n: int, device: str = "cpu") -> torch.Tensor:
    return torch.empty(n * 2**20, dtype=torch.uint8, device=device)


def _one_two_minus_one_four(device: str = "cpu") -> None:
    first = _mib(1, device)
    second = _mib(2, device)
    del first
    third = _mib(4, device)
    del second, third


def _peak(fn: Callable[[], None], device: torch.device = CPU) -> float:
    """The peak of a step of one phase."""

    def step(mark: Callable[[], None]) -> None:
        mark()
        fn()
        mark()

    return peak_memory_mib(step, ["all"], device)["all"]


@pytest.mark.parametrize(
    ("changes", "rise"),
    [
        ([], 0),
        ([1, 2, -1, 4], 6),
        ([-3, 5, -1, -1], 5),  # what is freed first hides nothing
        ([4, -4, 3, 3], 6),
        ([-1, -2], 0),
    ],
)
def test_largest_rise(changes: list[int], rise: int) -> None:
    assert largest_rises([changes]) == [rise]


def test_rises_of_phases_start_from_where_the_one_before_ended() -> None:
    assert largest_rises([[2, -1], [3, -4], [], [1]]) == [2, 4, 0, 1]


def test_phases_on_the_cpu_by_hand() -> None:
    def step(mark: Callable[[], None]) -> None:
        mark()
        first = _mib(1)
        mark()
        second = _mib(2)
        del first
        mark()
        third = _mib(4)
        del second, third
        mark()

    peaks = peak_memory_mib(step, ["a", "b", "c"], CPU)
    assert peaks == pytest.approx({"a": 1, "b": 3, "c": 6}, abs=0.01)


def test_peak_on_the_cpu_by_hand() -> None:
    assert _peak(_one_two_minus_one_four) == pytest.approx(6.0, abs=0.01)


def test_a_peak_inside_one_operator_is_seen() -> None:
    # logsumexp of 4 MiB makes temporaries of that size and returns a scalar.
    x = torch.randn(2**20)
    assert _peak(lambda: (torch.logsumexp(x, 0), None)[1]) >= 4.0


def test_a_training_step_needs_activations_and_gradients() -> None:
    # Per layer: 1 MiB of output, kept by ReLU; weight gradients of 0.25 MiB; and in backward one
    # gradient of 1 MiB that flows.
    torch.manual_seed(0)
    layers = [
        nn.Sequential(nn.Linear(256, 256, bias=False), nn.ReLU(inplace=True)) for _ in range(8)
    ]
    model, x = nn.Sequential(*layers), torch.randn(1024, 256)

    def step() -> None:
        model.zero_grad(set_to_none=True)
        model(x).sum().backward()

    without_gradients = _peak(step)
    with_gradients = _peak(step)
    assert 8.0 <= without_gradients <= 12.0
    assert with_gradients == pytest.approx(without_gradients, abs=0.01)


def test_a_device_without_a_rule_is_an_error() -> None:
    with pytest.raises(ValueError, match="device must be of type cpu or cuda, found meta"):
        peak_memory_mib(lambda mark: None, [], torch.device("meta"))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_peak_on_cuda_includes_what_is_resident() -> None:
    resident = _mib(8, "cuda")
    before = torch.cuda.memory_allocated() / 2**20
    peak = _peak(lambda: _one_two_minus_one_four("cuda"), torch.device("cuda"))
    assert before >= 8.0
    assert peak == pytest.approx(before + 6.0, abs=0.01)
    del resident


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_what_is_reserved_on_cuda_is_at_least_what_is_used() -> None:
    def step(mark: Callable[[], None]) -> None:
        mark()
        _one_two_minus_one_four("cuda")
        mark()

    assert reserved_memory_mib(step, torch.device("cuda")) >= 6.0
