"""What a method may claim of its weights `[T]` for rows `[T, P]`: one assertion a claim."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mtmm.weighting.base import State, Weighting

Solve = Callable[[Tensor], Tensor]
"""From rows to weights, with losses that are all 1."""

_ROUND_TRIPS = ("aten._local_scalar_dense", "aten.is_nonzero", "aten.equal", "aten.nonzero")


def assert_finite(solve: Solve, rows: Tensor) -> None:
    """Every weight is a number."""
    weights = solve(rows)
    assert weights.shape == (len(rows),)
    assert weights.isfinite().all()


def assert_non_conflicting(solve: Solve, rows: Tensor) -> None:
    """No task's loss grows along the combined gradient, to first order."""
    combined = solve(rows) @ rows
    lengths = torch.linalg.vector_norm(rows, dim=1) * torch.linalg.vector_norm(combined)
    assert (rows @ combined >= -1e-9 * lengths).all()


def assert_permutation_equivariant(solve: Solve, rows: Tensor) -> None:
    """Tasks in another order get the same weights in that order."""
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    _close(solve(rows[order]) @ rows[order], solve(rows) @ rows)


def assert_scales(solve: Solve, rows: Tensor, power: float) -> None:
    """Gradients c times as large have weights c^power times as large."""
    for factor in (1e-3, 1e3):
        found, wanted = solve(factor * rows), factor**power * solve(rows)
        _close(found @ rows / factor**power, wanted @ rows / factor**power)


def assert_stationary(solve: Solve, rows: Tensor) -> None:
    """The combined gradient of rows some convex combination of which is 0 is 0 itself."""
    shares = torch.rand(len(rows), generator=torch.Generator().manual_seed(0)).to(rows) + 0.1
    shares = shares / shares.sum()
    balanced = rows - (shares @ rows) / shares.sum()
    assert torch.linalg.vector_norm(shares @ balanced) < 1e-12 * torch.linalg.norm(rows)
    combined = solve(balanced) @ balanced
    longest = torch.linalg.vector_norm(balanced, dim=1).amax()
    assert torch.linalg.vector_norm(combined) <= 1e-6 * longest


def assert_leaves_out(solve: Solve, rows: Tensor) -> None:
    """A task without a gradient has weight 0, and the others get what they get without it."""
    widened = torch.cat([rows[:1], torch.zeros_like(rows[:1]), rows[1:]])
    weights = solve(widened)
    assert weights[1] == 0
    rest = torch.cat([weights[:1], weights[2:]])
    _close(rest @ rows, solve(rows) @ rows)


def assert_lifted(method: Weighting, state: State, losses: Tensor, *matrix: Tensor) -> None:
    """`torch.vmap` lifts a step: a batch of steps gives what each gives alone."""
    step: Any = method.step
    batch = [torch.stack([given, 0.5 * given, given.flip(0)]) for given in (losses, *matrix)]
    states = {name: torch.stack([value] * 3) for name, value in state.items()}
    together, after = torch.vmap(step)(states, *batch)
    for i in range(3):
        alone, left = step(dict(state), *(given[i] for given in batch))
        torch.testing.assert_close(together[i], alone, rtol=1e-6, atol=1e-9)
        for name, value in left.items():
            kept = after[name][i]
            torch.testing.assert_close(kept, value, rtol=1e-6, atol=1e-9, equal_nan=True)


def assert_no_round_trip(method: Weighting, state: State, losses: Tensor, *matrix: Tensor) -> None:
    """A step never asks the device for a number."""
    step: Any = method.step
    with _NoRoundTrips():
        _, after = step(dict(state), losses, *matrix)
        method.after_step(after, losses)
        method.epoch_end(after, losses)


class _NoRoundTrips(TorchDispatchMode):
    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        assert not str(func).startswith(_ROUND_TRIPS), f"{func} waits for the device"
        return func(*args, **(kwargs or {}))


def states_equal(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    """Whether two states hold the same numbers."""
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def _close(found: Tensor, wanted: Tensor) -> None:
    size = float(torch.linalg.vector_norm(wanted))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-7 * size + 1e-300)
