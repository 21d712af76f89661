"""Task gradients: the rows of a Jacobian, or only their inner products.

Everywhere T outputs or cotangents are those of T tasks. A gradient is None for a tensor that is not
reached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

Gradients = Sequence[Tensor | None]
"""One gradient for each of some tensors."""


class CannotBatchError(RuntimeError):
    """The backward passes of all tasks cannot be run as one."""


class Layout:
    """Where each of some tensors lies in a flat vector of all their `size` numbers."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        # In the memory order of each tensor: gradients laid out otherwise slow the optimizer.
        self._places = [(tensor.shape, _dense_stride(tensor)) for tensor in tensors]
        self._lengths = [tensor.numel() for tensor in tensors]
        self.size = sum(self._lengths)

    def views(self, flat: Tensor) -> list[Tensor]:
        """The tensors within `flat` `[P]`, whose memory they share."""
        parts = torch.split(flat, self._lengths)
        placed = zip(parts, self._places, strict=True)
        return [part.as_strided(shape, stride) for part, (shape, stride) in placed]

    def rows(self, gradients: Iterable[Gradients], count: int, like: Tensor) -> Tensor:
        """The rows `[T, P]` of T tasks' gradients, zeros where there is none; T is `count`.

        Each task's are taken over before the next one's are made, if they come one by one.
        """
        rows = like.new_empty(count, self.size)
        for row, of_task in zip(rows, gradients, strict=True):
            for view, gradient in zip(self.views(row), of_task, strict=True):
                view.zero_() if gradient is None else view.copy_(gradient)
        return rows


def of_losses(
    losses: Sequence[Tensor], tensors: Sequence[Tensor], *, keep_graph: bool = False
) -> Iterator[Gradients]:
    """The gradient of each of T losses for each tensor, by one backward pass a task."""
    last = len(losses) - 1
    for task, loss in enumerate(losses):
        yield torch.autograd.grad(
            loss, tensors, retain_graph=keep_graph or task < last, allow_unused=True
        )


def pulled_back(
    outputs: Sequence[Tensor], cotangents: Sequence[Gradients], tensors: Sequence[Tensor]
) -> Iterator[Gradients]:
    """The gradients for tensors before `outputs`, given each of T tasks' `cotangents` for these.

    One backward pass a task; the last one frees the graph.
    """
    last = len(cotangents) - 1
    for task, of_task in enumerate(cotangents):
        yield _pulled_back(outputs, of_task, tensors, retain_graph=task < last)


def pulled_back_at_once(
    outputs: Sequence[Tensor], cotangents: Sequence[Gradients], tensors: Sequence[Tensor]
) -> list[Gradients]:
    """The same by one batched backward pass; raises CannotBatchError where there is none."""

    def pull(*of_task: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(
            outputs, tensors, of_task, allow_unused=True, materialize_grads=True, retain_graph=True
        )

    batched = _batched(pull, _stacked(outputs, cotangents))
    return list(zip(*(gradient.unbind() for gradient in batched), strict=True))


def gramian_at_once(
    outputs: Sequence[Tensor], cotangents: Sequence[Gradients], tensors: Sequence[Tensor]
) -> Tensor:
    """The Gramian `[T, T]` of the rows, which are never there as a whole; the graph is kept.

    One batched backward pass: as soon as all tasks' gradients for a tensor are made they are
    reduced to their inner products and dropped. Raises CannotBatchError where there is no such
    pass.
    """
    total = _Total(outputs[0].new_zeros(len(cotangents), len(cotangents)))

    def pull(*of_task: Tensor) -> Tensor:
        torch.autograd.grad(outputs, tensors, of_task, allow_unused=True, retain_graph=True)
        return of_task[0].new_zeros(())

    handles = [
        tensor.register_hook(lambda gradient: _Reduce.apply(gradient, total))  # type: ignore[no-untyped-call]
        for tensor in tensors
    ]
    try:
        _batched(pull, _stacked(outputs, cotangents))
    finally:
        for handle in handles:
            handle.remove()
    return total.gramian


def gramian_of(rows: Tensor) -> Tensor:
    """The inner products `[T, T]` of rows `[T, P]`, in full precision whatever is set."""
    with _full_products(rows.device):
        return rows @ rows.mT


def reached(tensors: Sequence[Tensor], before: Sequence[Tensor] = ()) -> list[nn.Parameter]:
    """The leaves that backward passes from `tensors` end in without going through `before`."""
    leaves: dict[nn.Parameter, None] = {}
    seen: set[Any] = {tensor.grad_fn for tensor in before}
    waiting = [tensor.grad_fn for tensor in tensors]
    while waiting:
        node: Any = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [earlier for earlier, _ in node.next_functions]
            if hasattr(node, "variable"):
                leaves[node.variable] = None
    return list(leaves)


def added(gradients: Sequence[Gradients], weights: Tensor | None = None) -> list[Tensor | None]:
    """For each tensor the sum of T tasks' gradients, times `weights` `[T]` if there are any."""
    factors = [None] * len(gradients) if weights is None else weights.unbind()
    sums: list[Tensor | None] = [None] * len(gradients[0])
    for factor, of_task in zip(factors, gradients, strict=True):
        for place, gradient in enumerate(of_task):
            if gradient is not None:
                term = gradient if factor is None else gradient * factor
                before = sums[place]
                sums[place] = term if before is None else before + term
    return sums


def deposit(tensors: Sequence[Tensor], gradients: Gradients) -> None:
    """Add gradients to the `.grad` of tensors, as a backward pass does: laid out as these are."""
    for tensor, gradient in zip(tensors, gradients, strict=True):
        if gradient is None:
            continue
        if gradient.stride() != tensor.stride():
            gradient = torch.empty_like(tensor, requires_grad=False).copy_(gradient)
        tensor.grad = gradient if tensor.grad is None else tensor.grad + gradient


def _dense_stride(tensor: Tensor) -> tuple[int, ...]:
    dense = tensor.is_contiguous() or (
        tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    )
    return tensor.stride() if dense else torch.empty_like(tensor, device="meta").stride()


def _pulled_back(
    outputs: Sequence[Tensor], of_task: Gradients, tensors: Sequence[Tensor], *, retain_graph: bool
) -> Gradients:
    there = [
        (output, cotangent)
        for output, cotangent in zip(outputs, of_task, strict=True)
        if cotangent is not None
    ]
    if not there:
        return [None] * len(tensors)
    reached_outputs, given = zip(*there, strict=True)
    return torch.autograd.grad(
        reached_outputs, tensors, given, retain_graph=retain_graph, allow_unused=True
    )


def _stacked(outputs: Sequence[Tensor], cotangents: Sequence[Gradients]) -> list[Tensor]:
    return [
        torch.stack([torch.zeros_like(output) if g is None else g for g in of_output])
        for output, of_output in zip(outputs, zip(*cotangents, strict=True), strict=True)
    ]


def _batched(function: Callable[..., Any], arguments: Sequence[Tensor]) -> Any:
    try:
        return torch.vmap(function)(*arguments)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        text = str(error).splitlines()[0]
        raise CannotBatchError(f"the backward pass cannot be batched over tasks: {text}") from error


class _Total:
    """A Gramian that grows; an object of its own kind passes through `vmap` as it is."""

    def __init__(self, gramian: Tensor) -> None:
        self.gramian = gramian


class _Reduce(torch.autograd.Function):
    """Adds the inner products of a batch of gradients to a total, and lets go of the gradients."""

    @staticmethod
    def forward(gradient: Tensor, total: _Total) -> Tensor:
        return gradient.new_zeros(()).expand(gradient.shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing is kept: no gradient flows back through it."""

    @staticmethod
    def vmap(info: Any, in_dims: Any, gradient: Tensor, total: _Total) -> tuple[Tensor, int]:
        rows = gradient.movedim(in_dims[0], 0)
        total.gramian = total.gramian + gramian_of(rows.flatten(1))
        return rows.new_zeros(()).expand(rows.shape), 0


@contextmanager
def _full_products(device: torch.device) -> Iterator[None]:
    matmul: Any = torch.backends.cuda.matmul  # not typed
    if device.type != "cuda" or matmul.fp32_precision == "ieee":
        yield
        return
    before = matmul.fp32_precision
    matmul.fp32_precision = "ieee"
    try:
        yield
    finally:
        matmul.fp32_precision = before
