"""Traces of the installed PyTorch, on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile, record_function, schedule
from torch.utils.checkpoint import checkpoint

from bench.profiling.attribution import Attribution, attribute
from bench.profiling.summary import summarise
from bench.profiling.trace import Trace, read_trace
from bench.profiling.work import total_us

# PyTorch 2.11 says so whatever the schedule.
pytestmark = pytest.mark.filterwarnings("ignore:Warning. Profiler clears events")

B, D, K = 64, 128, 4
STEPS = 3


class _Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        doubled: Tensor = 2 * x * gradients[0]
        return doubled


def _trace(step: Callable[[], object], path: Path, **settings: Any) -> Trace:
    """Three steps under the profiler."""
    with profile(
        activities=[ProfilerActivity.CPU],
        schedule=schedule(wait=1, warmup=1, active=STEPS, repeat=1),
        on_trace_ready=lambda profiler: profiler.export_chrome_trace(str(path)),
        **settings,
    ) as profiler:
        for _ in range(2 + STEPS):
            step()
            profiler.step()
    return read_trace(path)


def _step(fusion: Callable[[Tensor], Tensor]) -> Callable[[], None]:
    """A training step of an encoder, `fusion` and a head, all with names."""
    conv, head = nn.Conv2d(3, 8, 3), nn.Linear(D, K)
    inner = nn.Linear(8 * 14 * 14, D)
    parameters = [*conv.parameters(), *head.parameters(), *inner.parameters()]
    optimizer = torch.optim.Adam(parameters)
    x = torch.randn(B, 3, 16, 16)

    def step() -> None:
        optimizer.zero_grad(set_to_none=False)
        with record_function("mtmm::encoders.image.conv1"):
            z = inner(torch.relu(conv(x)).flatten(1))
        with record_function("mtmm::fusion"):
            z = fusion(z)
        with record_function("mtmm::heads.a"):
            y = head(z)
        with record_function("mtmm::loss.a"):
            loss = y.square().mean()
        loss.backward()
        optimizer.step()

    return step


def _parts(found: Attribution, direction: str) -> set[str]:
    return set(found.table.loc[found.table["direction"] == direction, "part"])


def _kinds(found: Attribution) -> list[str]:
    return [note.kind for note in found.notes]


NAMED = {"encoders.image.conv1", "fusion", "heads.a", "loss.a"}


def test_parts_forward_and_backward_are_all_of_the_work(tmp_path: Path) -> None:
    trace = _trace(_step(nn.Sequential(nn.Linear(D, D), nn.Tanh())), tmp_path / "a.json.gz")
    found = attribute(trace)
    assert _parts(found, "forward") == NAMED
    assert _parts(found, "backward") - {"unattributed"} == NAMED | {"grad_accumulate"}
    assert _parts(found, "optimizer") == {"optimizer"}
    assert _parts(found, "other") == {"zero_grad", "unattributed"}
    assert STEPS * found.total_us == pytest.approx(total_us(trace), rel=0.01)
    assert found.table["us"].sum() == pytest.approx(found.total_us)
    assert found.unattributed_share < 0.05
    assert found.joined_share == 1
    assert found.notes == ()


def test_a_summary_of_it(tmp_path: Path) -> None:
    told = summarise(_trace(_step(nn.Linear(D, D)), tmp_path / "a.json"))
    assert told["device"] == "cpu"
    assert told["steps"] == STEPS
    assert min(told["forward_us"], told["backward_us"], told["optimizer_us"]) > 0
    assert told["work_us"] < told["step_us"]
    assert told["kinds"]["gemm"] > 0
    assert told["kinds"]["conv"] > 0


def test_a_graph_run_backward_twice_counts_twice_for_its_parts(tmp_path: Path) -> None:
    first, second = nn.Linear(D, D), nn.Linear(D, D)
    x = torch.randn(B, D)

    def step() -> None:
        with record_function("mtmm::encoders.a"):
            z = first(x).tanh()
        with record_function("mtmm::heads.a"):
            y = second(z)
        for column in (0, 1):
            torch.autograd.grad(y[:, column].sum(), z, retain_graph=True)

    found = attribute(_trace(step, tmp_path / "a.json"))
    # Where a pass ends, at z, PyTorch gives a node that runs nothing and has no number.
    assert found.joined_share == pytest.approx(1, abs=0.05)
    assert _parts(found, "backward") == {"heads.a", "unattributed"}


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints_are_told_and_stay_with_their_part(reentrant: bool, tmp_path: Path) -> None:
    inner = nn.Sequential(nn.Linear(D, D), nn.Tanh())
    fusion = lambda z: checkpoint(inner, z, use_reentrant=reentrant)  # noqa: E731
    found = attribute(_trace(_step(fusion), tmp_path / "a.json"))
    assert _kinds(found) == ["checkpointing"]
    assert _parts(found, "backward") >= NAMED
    assert found.joined_share == 1


def test_a_graph_of_the_backward_pass_is_no_checkpoint(tmp_path: Path) -> None:
    inner = nn.Linear(D, D)
    x = torch.randn(B, D, requires_grad=True)

    def step() -> None:
        with record_function("mtmm::fusion"):
            y = inner(x).tanh().square().sum()
        (gradient,) = torch.autograd.grad(y, x, create_graph=True)
        gradient.square().sum().backward()

    found = attribute(_trace(step, tmp_path / "a.json"))
    assert "checkpointing" not in _kinds(found)
    assert found.joined_share == 1


def test_functions_of_ones_own_are_told(tmp_path: Path) -> None:
    found = attribute(_trace(_step(_Square.apply), tmp_path / "a.json"))
    assert _kinds(found) == ["custom_function"]
    assert "_Square; their backward work counts for the part" in found.notes[0].text
    assert "fusion" in _parts(found, "backward")


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_regions_are_told(tmp_path: Path) -> None:
    inner = torch.compile(nn.Sequential(nn.Linear(D, D), nn.Tanh()), backend="aot_eager")
    found = attribute(_trace(_step(inner), tmp_path / "a.json"))
    assert _kinds(found) == ["compiled"]
    assert "fusion" in _parts(found, "backward")


@pytest.mark.parametrize("with_stack", [True, False])
def test_a_trace_without_names_shows_modules_or_operators(with_stack: bool, tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(D, D), nn.Tanh())
    x = torch.randn(B, D)
    step = lambda: model(x).sum().backward()  # noqa: E731
    found = attribute(_trace(step, tmp_path / "a.json", with_stack=with_stack))
    expected = {"Linear_0", "Tanh_0"} if with_stack else {"aten::linear", "aten::tanh"}
    assert {*expected, "aten::sum"} <= _parts(found, "forward") & _parts(found, "backward")
