"""Compiled models; where no compiler is needed, Dynamo hands its graphs back as they are."""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
import torch._dynamo
from torch import Tensor, nn

from bench import numerics
from bench.cell import TrainCell
from bench.execution import unit
from bench.execution.unit import run_cell
from bench.numerics import compile_counts, eager, no_recompiles, prepare, restored
from bench.timing.flops import count_flops
from bench.training import build_step, train
from mtmm.spec import DataBundle

CPU = torch.device("cpu")
PLAIN = {"precision": "fp32", "compile": "off", "memory_format": "contiguous"}
COMPILED = {**PLAIN, "compile": "default"}

pytestmark = [
    # PyTorch's own, from within the compiler.
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


class Breaking(nn.Module):
    """Its graph breaks in the middle, or does not."""

    def __init__(self, breaks: bool = True) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.breaks = breaks

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x)
        if self.breaks:
            torch._dynamo.graph_break()
        return torch.relu(y)


@pytest.fixture(autouse=True)
def _set_back() -> Iterator[None]:
    with restored():
        yield


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs are traced, and run as they are."""
    real = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self, **_: real(self, backend="eager"))


def asked(config: Mapping[str, Any], **settings: str) -> dict[str, Any]:
    return {**config, "numerics": {**config["numerics"], **settings}}


def counted(before: Mapping[str, int]) -> dict[str, int]:
    return {name: count - before[name] for name, count in compile_counts().items()}


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("breaks", [True, False])
def test_graph_breaks_are_counted_for_each_model(breaks: bool) -> None:
    for _ in "ab":  # a second model of the same code counts as the first did
        before = compile_counts()
        model = prepare(COMPILED, Breaking(breaks), CPU)
        model(torch.ones(3, 4))
        model(torch.ones(3, 4))
        expected = {"graph_breaks": int(breaks), "graphs": 1 + breaks, "cudagraph_skips": 0}
        assert counted(before) == expected


@pytest.mark.usefixtures("uncompiled")
def test_a_recompilation_is_detected() -> None:
    model = prepare(COMPILED, Breaking(False), CPU)
    with pytest.raises(RuntimeError, match="recompile"), no_recompiles():
        model(torch.ones(3, 4))  # the first time counts too
    model(torch.ones(3, 4))
    with no_recompiles():
        model(torch.ones(3, 4))
    with pytest.raises(RuntimeError, match="recompile"), no_recompiles():
        model(torch.ones(5, 4))
    model(torch.ones(5, 4))  # outside it may


@pytest.mark.usefixtures("uncompiled")
def test_too_many_forms_are_an_error_and_never_run_uncompiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run_with(sizes: range) -> None:
        model = prepare(COMPILED, Breaking(False), CPU)
        for size in sizes:
            model(torch.ones(*[1] * size, 4))  # each number of dimensions is a form of its own

    run_with(range(1, 12))  # more than PyTorch allows by itself
    monkeypatch.setitem(numerics._CONFIG, "recompile_limit", 2)
    with pytest.raises(torch._dynamo.exc.FailOnRecompileLimitHit):
        run_with(range(1, 12))


@pytest.mark.usefixtures("uncompiled")
def test_the_compiler_s_settings_are_set_back() -> None:
    import torch._dynamo.config as config

    before = {name: getattr(config, name) for name in numerics._CONFIG}
    assert before != numerics._CONFIG
    with restored():
        prepare(COMPILED, Breaking(), CPU)
        prepare(COMPILED, Breaking(), CPU)
        assert {name: getattr(config, name) for name in numerics._CONFIG} == numerics._CONFIG
    assert {name: getattr(config, name) for name in numerics._CONFIG} == before


@pytest.mark.usefixtures("uncompiled")
def test_a_model_is_compiled_in_place(config: dict[str, Any], bundle: DataBundle) -> None:
    compiled = build_step(asked(config, compile="default"), bundle, seed=0, device=CPU).model
    plain = build_step(config, bundle, seed=0, device=CPU).model
    assert list(compiled.state_dict()) == list(plain.state_dict())
    assert type(compiled) is type(plain)
    batch = bundle.train.take(torch.arange(8))
    before = compile_counts()
    outputs = compiled(batch.inputs, batch.present).outputs
    assert counted(before)["graphs"] > 0
    for task, output in plain(batch.inputs, batch.present).outputs.items():
        torch.testing.assert_close(outputs[task], output)
    copy.deepcopy(compiled)


@pytest.mark.usefixtures("uncompiled")
def test_a_compiled_cell_trains_and_says_what_was_compiled(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    few = {**config, "train": {**config["train"], "epochs": 1, "max_steps": 2}}
    ours = train(asked(few, compile="default"), bundle, seed=0, device=CPU)
    plain = train(few, bundle, seed=0, device=CPU)
    assert "compiled" not in plain
    counts = ours.pop("compiled")
    assert counts["graphs"] > 1
    assert counts["graph_breaks"] > 0  # at the LSTM
    assert ours["curve"][0]["loss"] == pytest.approx(plain["curve"][0]["loss"], rel=1e-5)
    assert ours["test"]["script"]["loss"] == pytest.approx(plain["test"]["script"]["loss"], 1e-4)


@pytest.mark.usefixtures("uncompiled")
def test_flops_are_those_of_what_was_compiled() -> None:
    model = prepare(COMPILED, Breaking(), CPU)
    called: list[nn.Module] = []
    model.linear.register_forward_hook(lambda module, *_: called.append(module))  # type: ignore[union-attr]
    before = compile_counts()
    with eager():
        assert count_flops(lambda: model(torch.ones(3, 4))) == 2 * 3 * 4 * 4
    assert counted(before)["graphs"] == 0
    assert len(called) == 1


def test_a_compiler_that_fails_is_the_cell_s_record(
    config: dict[str, Any], bundle: DataBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def backend(graph: object, inputs: object) -> Any:
        raise RuntimeError("no luck\n\n" + 100 * "a page of advice\n")

    real = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self, **_: real(self, backend=backend))
    monkeypatch.setattr(unit, "build_data", lambda *_: bundle)
    record = run_cell(TrainCell(asked(config, compile="default"), 0, "x", "cpu"), CPU)
    assert record["status"] == "error"
    assert record["reason"].startswith("numerics.compile: BackendCompilerFailed: backend=")
    assert record["reason"].endswith("RuntimeError: no luck")
    assert "advice" in record["traceback"]


def test_compilation_that_is_switched_off_outside_is_refused() -> None:
    with torch._dynamo.config.patch(disable=True):
        with pytest.raises(ValueError, match="switched off by TORCH_COMPILE_DISABLE"):
            prepare(COMPILED, Breaking(), CPU)
        prepare(PLAIN, Breaking(), CPU)


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="needs a C++ compiler"
)
def test_compiled_code_computes_the_same(config: dict[str, Any], bundle: DataBundle) -> None:
    few = {**config, "train": {**config["train"], "epochs": 1, "max_steps": 3}}
    ours = train(asked(few, compile="default"), bundle, seed=0, device=CPU)
    plain = train(few, bundle, seed=0, device=CPU)
    assert ours["curve"][0]["loss"] == pytest.approx(plain["curve"][0]["loss"], rel=1e-4)
    for task in config["tasks"]:
        expected = plain["test"][task]["loss"]
        assert ours["test"][task]["loss"] == pytest.approx(expected, rel=1e-3)


@pytest.mark.cuda
@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("mode", ["default", "max-autotune", "reduce-overhead", "cudagraphs"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_mode_trains_on_cuda(
    config: dict[str, Any], bundle: DataBundle, mode: str, precision: str
) -> None:
    device = torch.device("cuda")
    few = {**config, "train": {**config["train"], "epochs": 1, "max_steps": 5}}
    there = bundle.to(device)
    plain = train(asked(few, precision=precision), there, seed=0, device=device)
    ours = train(asked(few, precision=precision, compile=mode), there, seed=0, device=device)
    assert ours["compiled"]["graphs"] > 0
    assert ours["curve"][0]["loss"] == pytest.approx(plain["curve"][0]["loss"], rel=0.02)


def test_buffers_are_not_donated_where_several_backward_passes_come() -> None:
    import torch._functorch.config as autograd

    before = autograd.donated_buffer
    with restored():
        prepare(COMPILED, nn.Linear(2, 2), CPU)
        assert autograd.donated_buffer == before
        prepare(COMPILED, nn.Linear(2, 2), CPU, keep_graph=True)
        assert not autograd.donated_buffer
        prepare(COMPILED, nn.Linear(2, 2), CPU)
        assert autograd.donated_buffer == before
    assert autograd.donated_buffer == before
