"""Names in a profile: which part of a model, which loss and which weighting work belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn
from torch.autograd.profiler import record_function

from bench.step import TrainStep
from mtmm.model import PathModel
from mtmm.paths import Path

PREFIX = "mtmm::"
"""Begins the names of our ranges in a trace; a part's name follows."""

_OF_WEIGHTING = ("parameter_gradients", "after_step")
"""What a step calls besides the descent itself."""


@contextmanager
def scoped(step: TrainStep) -> Iterator[None]:
    """Let every part of a training step name its work inside; the innermost name counts.

    Parts are `encoders.<modality>.<stage>`, `fusion`, `sharing` (what a sharing does beside its
    paths), `heads.<task>`, `loss.<task>`, `weighting` (what a weighting does beside the backward
    passes, and after the step), `clip`; of a model of one's own those that its `parts` names, and
    `model`.
    """
    with ExitStack() as stack:
        for name, module in _modules(step.model):
            for hook in _hooks(name, module):
                stack.callback(hook.remove)
        for task, objective in step.objectives.items():
            objective.loss = _named(f"loss.{task}", objective.loss)  # type: ignore[method-assign]
            stack.callback(delattr, objective, "loss")
        named = {
            "descent": _Weighting(step.descent),
            "weighting": _Weighting(step.weighting),
            "clip": _named("clip", step.clip),
        }
        for attribute, with_name in named.items():
            stack.callback(setattr, step, attribute, getattr(step, attribute))
            setattr(step, attribute, with_name)
        yield


class _Weighting:
    """A descent, or the method of one, whose work in a step has a name."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return _named("weighting", found) if name in _OF_WEIGHTING else found

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        return _named("weighting", self._inner)(*arguments, **settings)


def _named(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def named(*arguments: Any, **settings: Any) -> Any:
        with record_function(PREFIX + name):
            return function(*arguments, **settings)

    return named


def _modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Modules by the name of their part, outer ones before those inside."""
    if not isinstance(model, PathModel):
        yield "model", model
        parts: Mapping[str, nn.Module] = getattr(model, "parts", dict)()
        for name, part in parts.items():
            for module in part if isinstance(part, nn.ModuleList) else [part]:
                yield name, module
        return
    yield "sharing", model.sharing
    for path in (module for module in model.sharing.modules() if isinstance(module, Path)):
        for modality, encoder in zip(path.modalities, path.encoders, strict=True):
            yield f"encoders.{modality.name}", encoder
            for stage, module in encoder.stages.named_children():  # type: ignore[union-attr]
                yield f"encoders.{modality.name}.{stage}", module
        yield "fusion", path.fusion
    for task, head in zip(model.tasks, model.heads, strict=True):
        yield f"heads.{task}", head
        fusion = getattr(head, "fusion", None)
        if fusion is not None:
            yield "fusion", fusion


def _hooks(name: str, module: nn.Module) -> Iterator[Any]:
    """Hooks that open a range before each call of the module and close it after."""
    open_ranges: list[record_function] = []

    def enter(*_: Any) -> None:
        open_ranges.append(record_function(PREFIX + name))
        open_ranges[-1].__enter__()  # type: ignore[no-untyped-call]

    def leave(module: nn.Module, given: Any, made: Any) -> None:
        open_ranges.pop().__exit__(None, None, None)

    yield module.register_forward_pre_hook(enter)
    # Also after an exception: PyTorch ends the second forward pass of a checkpoint by one.
    yield module.register_forward_hook(leave, always_call=True)
