"""The numbers a model computes in, and how its code is compiled."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

Numerics = Mapping[str, Any]
"""The section `numerics` of a resolved variant."""

Around = Callable[[], AbstractContextManager[object]]
"""What a forward pass and its losses are put into, anew each time."""

MEMORY_FORMATS = {
    # A quarter off a convolutional network's step on a CPU, more with tensor cores.
    "channels_last": torch.channels_last,
    "contiguous": torch.contiguous_format,
}

_NEEDS_CUDA = {
    # fp16: PyTorch has no LSTM in it on most CPUs, and no CPU gains by it.
    "precision": ("tf32", "fp16"),
    "compile": ("reduce-overhead", "cudagraphs"),
}
_LOW = {"bf16": torch.bfloat16, "fp16": torch.float16}
_GRAPHED = ("max-autotune", "reduce-overhead", "cudagraphs")
_COMPILED_FORMS = 1024  # of one function: all variants run through the same few


class NeedsCudaError(RuntimeError):
    """Numerics that need a CUDA device were asked for on another."""


def needs_cuda(numerics: Numerics, device: torch.device) -> tuple[str, str] | None:
    """The first setting that cannot be had on `device`, and why; None where all can."""
    if device.type != "cuda":
        for key, values in _NEEDS_CUDA.items():
            if numerics[key] in values:
                text = f"{numerics[key]} needs a CUDA device; this run is on {device.type}"
                return key, text
    return None


def check_device(numerics: Numerics, device: torch.device) -> None:
    """NeedsCudaError where the settings cannot be had on `device`."""
    missing = needs_cuda(numerics, device)
    if missing is not None:
        raise NeedsCudaError("numerics.{}: {}".format(*missing))


def prepare(
    numerics: Numerics, model: nn.Module, device: torch.device, *, keep_graph: bool = False
) -> nn.Module:
    """The model on `device`, laid out and compiled as asked for; flags of PyTorch are set for it.

    It is compiled in place, when it is first called: its parameters keep their names. Several
    backward passes through one forward pass need `keep_graph`, which takes memory. Raises
    NeedsCudaError where the settings cannot be had on `device`, ValueError where compilation is
    asked for and switched off in the environment.
    """
    check_device(numerics, device)
    set_precision(numerics["precision"], device)
    model = model.to(device).to(memory_format=MEMORY_FORMATS[numerics["memory_format"]])
    if numerics["compile"] != "off":
        _compile(model, numerics["compile"], keep_graph)
    return model


def set_precision(precision: str, device: torch.device) -> None:
    """How CUDA multiplies 32-bit matrices, in convolutions and recurrent layers too."""
    if device.type == "cuda":
        for backend in _fp32_backends():
            backend.fp32_precision = "tf32" if precision == "tf32" else "ieee"


def around_forward(numerics: Numerics, device: torch.device) -> Around:
    """What forward passes and losses are put into: autocast, and the start of CUDA graphs."""
    dtype = _LOW.get(numerics["precision"])
    graphed = device.type == "cuda" and numerics["compile"] in _GRAPHED
    if dtype is None and not graphed:
        return nullcontext

    @contextmanager
    def around() -> Iterator[None]:
        if graphed:
            # What the graphs of the pass before have put out may be overwritten from here on.
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            yield

    return around


def scaler_of(numerics: Numerics, device: torch.device) -> torch.amp.GradScaler:
    """What keeps the gradients of fp16 within its range; it does nothing for other precisions."""
    return torch.amp.GradScaler(device.type, enabled=numerics["precision"] == "fp16")


def full(value: Tensor) -> Tensor:
    """`value` in 32 bits where it has fewer, for losses and metrics."""
    return value.float() if value.dtype in (torch.bfloat16, torch.float16) else value


@contextmanager
def restored() -> Iterator[None]:
    """Undo outside what `prepare` does to PyTorch's flags inside, and drop what was compiled."""
    backends = _fp32_backends()
    before = [backend.fp32_precision for backend in backends]
    try:
        yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            if backend.fp32_precision != precision:
                backend.fp32_precision = precision
        _forget_compiled()


def compile_counts() -> dict[str, int]:
    """What PyTorch has compiled in this process.

    `graphs`, how often one had to break (`graph_breaks`), and how many could be no CUDA graph
    though that was asked for (`cudagraph_skips`).
    """
    if "torch._dynamo" not in sys.modules:  # nothing was compiled
        return {"graph_breaks": 0, "graphs": 0, "cudagraph_skips": 0}
    from torch._dynamo.utils import counters

    return {
        "graph_breaks": sum(counters["graph_break"].values()),
        "graphs": counters["stats"]["unique_graphs"],
        "cudagraph_skips": counters["inductor"]["cudagraph_skips"],
    }


@contextmanager
def no_recompiles() -> Iterator[None]:
    """Raise where something is compiled inside."""
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with torch.compiler.set_stance("fail_on_recompile"):
        yield


@contextmanager
def eager() -> Iterator[None]:
    """Run what was compiled as if it was not."""
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


def drop_compiled() -> None:
    """Give back what compiled code holds, such as the memory of CUDA graphs."""
    if _config_before:
        torch._dynamo.reset()


def _fp32_backends() -> tuple[Any, ...]:
    # Through these names alone: PyTorch refuses to read the older ones once a newer one is set.
    backends: Any = torch.backends  # not typed
    return backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn


_CONFIG: dict[str, Any] = {
    # Code that cannot be compiled, or not once more, is an error: eager code would pass for it.
    "suppress_errors": False,
    "fail_on_recompile_limit_hit": True,
    "recompile_limit": _COMPILED_FORMS,
    "accumulated_recompile_limit": 16 * _COMPILED_FORMS,
}
_DONATED = "donated_buffer"
_config_before: dict[str, Any] = {}


def _compile(model: nn.Module, mode: str, keep_graph: bool) -> None:
    import torch._dynamo.config as config
    import torch._functorch.config as autograd

    if config.disable:
        text = "is switched off by TORCH_COMPILE_DISABLE in the environment"
        raise ValueError(f"numerics.compile: {mode} was asked for, but compilation {text}")
    # What was compiled for models that are gone would keep its memory, and would not be counted
    # again for this one.
    torch._dynamo.reset()
    for name, value in _CONFIG.items():
        _config_before.setdefault(name, getattr(config, name))
        setattr(config, name, value)
    # A backward pass may overwrite what a donated buffer holds.
    _config_before.setdefault(_DONATED, getattr(autograd, _DONATED))
    setattr(autograd, _DONATED, _config_before[_DONATED] and not keep_graph)
    if mode == "cudagraphs":
        model.compile(backend="cudagraphs")
    else:
        model.compile(mode=mode)


def _forget_compiled() -> None:
    if not _config_before:
        return
    import torch._dynamo.config as config
    import torch._functorch.config as autograd

    setattr(autograd, _DONATED, _config_before.pop(_DONATED))
    for name, value in _config_before.items():
        setattr(config, name, value)
    _config_before.clear()
    torch._dynamo.reset()
