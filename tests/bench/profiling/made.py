"""A trace of a GPU by hand: two steps of 1,000 µs on two threads and two streams."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

Entry = dict[str, Any]

PROCESS, MAIN, AUTOGRAD, STRANGER = 10, 1, 2, 3
NODE = "autograd::engine::evaluate_function: "
STEP_US = 1000
FIRST = 3
"""The number of the first step."""


class Recorder:
    """Entries of a trace file; times are µs after `origin`."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.origin = 5_000_000.0
        self._correlation = count(100)
        self._flow = count(1)

    def span(
        self, category: str, name: str, start: float, end: float, thread: int = MAIN, **args: Any
    ) -> Entry:
        entry = {
            "ph": "X",
            "cat": category,
            "name": name,
            "pid": PROCESS,
            "tid": thread,
            "ts": self.origin + start,
            "dur": end - start,
            "args": args,
        }
        self.entries.append(entry)
        return entry

    def operator(
        self,
        name: str,
        start: float,
        end: float,
        *,
        thread: int = MAIN,
        number: int | None = None,
        forward_thread: int = 0,
    ) -> Entry:
        known = {} if number is None else {"Sequence number": number}
        args = {**known, "Fwd thread id": forward_thread}
        return self.span("cpu_op", name, start, end, thread, **args)

    def scope(self, name: str, start: float, end: float, thread: int = MAIN) -> Entry:
        return self.span("user_annotation", name, start, end, thread)

    def launch(
        self,
        name: str,
        at: float,
        start: float,
        end: float,
        *,
        thread: int = MAIN,
        stream: int = 7,
        call: str = "cudaLaunchKernel",
        category: str = "kernel",
    ) -> None:
        """A call of the runtime at `at`, and what it launches."""
        number = next(self._correlation)
        runtime = "cuda_runtime" if call.startswith("cuda") else "cuda_driver"
        self.span(runtime, call, at, at + 2, thread, correlation=number)
        entry = self.span(category, name, start, end, stream, correlation=number)
        entry["pid"] = 0

    def flow(self, forward: Entry, backward: Entry) -> None:
        number = next(self._flow)
        for phase, entry in (("s", forward), ("f", backward)):
            place = {key: entry[key] for key in ("pid", "tid", "ts")}
            flow = {"ph": phase, "id": number, "cat": "fwdbwd", "name": "fwdbwd", **place}
            self.entries.append(flow)

    def node(
        self, name: str, start: float, end: float, number: int | None = None, thread: int = AUTOGRAD
    ) -> Entry:
        """The run of a node of the backward pass, and inside of it the node's own function."""
        about: Any = {"thread": thread, "number": number, "forward_thread": 1}
        self.operator(NODE + name, start, end, **about)
        return self.operator(name, start + 1, end - 1, **about)


def gpu_entries() -> list[Entry]:
    """What a trace of two equal steps holds."""
    return gpu_recorder().entries


def gpu_recorder() -> Recorder:
    """The same, to be gone on with after the last step."""
    recorder = Recorder()
    for step in range(2):
        _step(recorder, FIRST + step, 10 * step)
        recorder.origin += STEP_US
    return recorder


def _step(to: Recorder, number: int, first: int) -> None:
    to.scope(f"ProfilerStep#{number}", 0, STEP_US)
    to.scope("Optimizer.zero_grad#SGD.zero_grad", 0, 10)
    to.operator("aten::zero_", 1, 9)
    to.launch("Memset (Device)", 2, 5, 8, call="cudaMemsetAsync", category="gpu_memset")
    forward = _forward(to, first)
    _loading(to)
    _backward(to, first, forward)
    to.scope("Optimizer.step#SGD.step", 800, 880)
    to.operator("aten::_foreach_add_", 810, 870)
    to.launch("multi_tensor_apply_kernel<TensorListMetadata>", 820, 830, 860)
    to.span("cuda_runtime", "cudaStreamSynchronize", 900, 950, correlation=7)
    to.span("cuda_runtime", "cudaLaunchHostFunc", 960, 961, correlation=9)


def _forward(to: Recorder, first: int) -> dict[str, Entry]:
    made: dict[str, Entry] = {}
    to.scope("mtmm::encoders.image", 20, 100)
    to.operator("aten::conv2d", 25, 90, number=first + 1)
    made["conv"] = to.operator("aten::convolution", 30, 85, number=first + 1)
    to.launch("implicit_convolve_sgemm", 40, 50, 150)
    to.scope("mtmm::fusion", 110, 150)
    made["linear"] = to.operator("aten::linear", 115, 140, number=first + 2)
    to.launch("nvjet_tst_128x128", 120, 150, 200, call="cuLaunchKernelEx")
    # Shows the number of the next node, but makes none.
    to.operator("aten::detach", 142, 144, number=first + 3)
    to.scope("mtmm::heads.a", 160, 189)
    to.operator("aten::addmm", 165, 185, number=first + 3)
    to.launch("sm90_xmma_gemm_f32", 170, 200, 220)
    to.scope("mtmm::loss.a", 190, 200)
    made["loss"] = to.operator("aten::mse_loss", 191, 199, number=first + 4)
    to.launch("reduce_kernel<512>", 192, 220, 225)
    # Another thread counts its own numbers; and in the end numbers are used again.
    to.operator("aten::relu", 200, 210, number=first + 3, thread=STRANGER)
    to.scope("mtmm::fusion", 780, 790)
    to.operator("aten::relu", 781, 789, number=first + 3)
    return made


def _loading(to: Recorder) -> None:
    to.operator("aten::to", 205, 210)
    to.launch(
        "Memcpy HtoD (Pinned -> Device)",
        *(206, 210, 220),
        stream=8,
        call="cudaMemcpyAsync",
        category="gpu_memcpy",
    )
    to.span("cuda_runtime", "cudaLaunchKernel", 212, 213, correlation=8)  # its kernel was lost


def _backward(to: Recorder, first: int, forward: dict[str, Entry]) -> None:
    to.flow(forward["loss"], to.node("MseLossBackward0", 300, 320, first + 4))
    to.launch("elementwise_kernel<mse>", 305, 310, 318, thread=AUTOGRAD)
    to.node("AddmmBackward0", 330, 360, first + 3)  # no flow: found by its number
    to.launch("sm90_xmma_gemm_f32", 340, 340, 380, thread=AUTOGRAD)
    to.flow(forward["linear"], to.node("LinearBackward0", 370, 400, first + 2))
    to.launch("nvjet_tst_64x64", 372, 400, 500, thread=AUTOGRAD)
    to.launch("nvjet_tst_64x64", 376, 450, 550, thread=AUTOGRAD, stream=8)
    to.node("torch::autograd::AccumulateGrad", 410, 420)
    to.launch("elementwise_kernel<add>", 412, 550, 557, thread=AUTOGRAD)
    to.flow(forward["conv"], to.node("ConvolutionBackward0", 430, 470, first + 1))
    to.launch("cudnn::dgrad_engine", 440, 560, 760, thread=AUTOGRAD)
    to.node("MineBackward", 480, 490)
    to.launch("mine", 484, 760, 761, thread=AUTOGRAD)


def write(path: Path, entries: Iterable[Entry], **top: Any) -> Path:
    """A trace file with these entries."""
    devices = [{"id": 0, "name": "GPU by hand"}, {"id": 1, "name": "idle"}]
    whole = {"schemaVersion": 1, "deviceProperties": devices, **top, "traceEvents": list(entries)}
    path.write_text(json.dumps(whole), encoding="utf-8")
    return path
