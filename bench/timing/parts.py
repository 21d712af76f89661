"""FLOPs of the parts of a model, forward and backward.

PyTorch's counter attributes backward work to modules by hooks that never fire for a module whose
inputs need no gradient, such as the first layer of an encoder: the work of all that follows would
be counted there too. So every call of a part is recorded in a real step, and its backward pass is
replayed alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bench.timing.flops import count_flops, counting


@dataclass(slots=True, kw_only=True, eq=False)
class _Call:
    """One call of a module; `reached` counts the gradients that its outputs got, by their place."""

    module: nn.Module
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    forward: int = 0
    reached: Counter[int] = field(default_factory=Counter)


def count_parts(
    step: Callable[[], object], parts: Mapping[str, nn.Module], passes: int = 1
) -> dict[str, dict[str, int]]:
    """FLOPs of each part in a step: `{part: {"forward": n, "backward": n}}`.

    One call of `step` is `passes` steps, of which it is the mean. A backward pass counts as often
    as it is run; where all tasks' passes are run as one batch, as for `gradients: lean`, it counts
    once.

    A part is a module, or a `ModuleList` of modules that are called one by one. Counting rules are
    those of `count_flops`; losses and what lies between the parts is in none of them.
    """
    return {
        name: {
            "forward": sum(call.forward for call in calls) // passes,
            "backward": sum(_backward_flops(call) for call in calls if call.reached) // passes,
        }
        for name, calls in _recorded(step, parts).items()
    }


def _recorded(step: Callable[[], object], parts: Mapping[str, nn.Module]) -> dict[str, list[_Call]]:
    """The calls of every part in one step."""
    calls: dict[str, list[_Call]] = {name: [] for name in parts}
    with counting() as counter, ExitStack() as stack:

        def note_start(name: str, module: nn.Module, args: Any, kwargs: Any) -> None:
            before = int(counter.get_total_flops())
            calls[name].append(
                _Call(
                    module=module, arguments=_apart(args), keywords=_apart(kwargs), forward=before
                )
            )

        def note_end(name: str, module: nn.Module, args: Any, output: Any) -> None:
            call = next(call for call in reversed(calls[name]) if call.module is module)
            call.forward = int(counter.get_total_flops()) - call.forward
            for place, tensor in enumerate(_tensors(output)):
                if tensor.grad_fn is not None:
                    # Of the node: one of the tensor is also run where a pass ends at the tensor.
                    tensor.grad_fn.register_prehook(
                        partial(_note_gradients, call, place, tensor.output_nr)
                    )

        for name, part in parts.items():
            for module in part if isinstance(part, nn.ModuleList) else [part]:
                before = module.register_forward_pre_hook(
                    partial(note_start, name), with_kwargs=True
                )
                after = module.register_forward_hook(partial(note_end, name))
                stack.callback(before.remove)
                stack.callback(after.remove)
        step()
    return calls


def _note_gradients(call: _Call, place: int, number: int, gradients: Sequence[Any]) -> None:
    if gradients[number] is not None:
        call.reached.update([place])


def _backward_flops(call: _Call) -> int:
    """What the gradients of a call's parameters and inputs take, given those of its outputs."""

    def forward_and_backward() -> None:
        replayed = call.module(*call.arguments, **call.keywords)
        outputs = [tensor for i, tensor in enumerate(_tensors(replayed)) if i in call.reached]
        ones = [torch.ones_like(output) for output in outputs]
        torch.autograd.backward(outputs, ones)

    return (count_flops(forward_and_backward) - call.forward) * max(call.reached.values())


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists, mappings and data classes, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif is_dataclass(value):
        for one in fields(value):
            yield from _tensors(getattr(value, one.name))


def _apart(value: Any) -> Any:
    """The same, with tensors cut off from the graph they come from."""
    if isinstance(value, Tensor):
        return value.detach().requires_grad_(value.requires_grad)
    if isinstance(value, Mapping):
        return {key: _apart(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_apart, value))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{one.name: _apart(getattr(value, one.name)) for one in fields(value)}
        )
    return value
