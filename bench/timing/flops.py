"""Floating-point operations of a step, counted from the operators it dispatches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bench.timing.phases import passes


def count_flops(fn: Callable[[], object]) -> int:
    """FLOPs of one call of `fn`, which may run forward and backward; nothing is timed.

    A multiply-add counts as 2. Matrix products, convolutions and attention count, in the forward
    and in the backward pass, as far as they are run (no gradient, no FLOPs for it); elementwise
    work, normalisation, pooling, embeddings and the optimizer do not. Recurrent layers and
    attention count as the matrix products they consist of, on every device alike: their fused
    kernels, which the counter takes for nothing on some devices, are switched off during the call.
    """
    with counting() as counter:
        fn()
    return int(counter.get_total_flops())


def count_phases(
    step: Callable[[Callable[[], None]], None], phases: Sequence[str]
) -> dict[str, int]:
    """FLOPs of each phase of a step, which calls what it is given at its start and after each.

    Phases may come more than once (see `bench.timing.phases`).
    """
    counts: list[int] = []
    with counting() as counter:
        step(lambda: counts.append(int(counter.get_total_flops())))
    sums = dict.fromkeys(phases, 0)
    for name, (before, after) in zip(phases, pairwise(counts), strict=True):
        sums[name] += after - before
    return {name: count // passes(phases) for name, count in sums.items()}


@contextmanager
def counting() -> Iterator[FlopCounterMode]:
    """A counter of what is run inside, by the rules of `count_flops`."""
    with _composed_of_matmuls(), FlopCounterMode(display=False) as counter:
        yield counter


@contextmanager
def _composed_of_matmuls() -> Iterator[None]:
    # Only the switches are touched. The libraries' own `flags()` also reset precision and
    # determinism, which are not ours to change.
    libraries: tuple[Any, Any] = (torch.backends.mkldnn, torch.backends.cudnn)
    enabled = [library.enabled for library in libraries]
    fastpath = torch.backends.mha.get_fastpath_enabled()
    try:
        for library in libraries:
            library.enabled = False
        torch.backends.mha.set_fastpath_enabled(False)
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        for library, was_enabled in zip(libraries, enabled, strict=True):
            library.enabled = was_enabled
        torch.backends.mha.set_fastpath_enabled(fastpath)
