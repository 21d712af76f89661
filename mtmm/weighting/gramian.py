"""Methods that need the inner products of the task gradients."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mtmm.spec import Space
from mtmm.weighting.base import State, Weighting
from mtmm.weighting.usage import Heads


class GramianWeighting(Weighting):
    """Weights `[T]` from the Gramian `[T, T]` of the task gradients, G_ij = g_i · g_j.

    A subclass defines `solve`. Where that has no answer, and for a Gramian that is zero or not
    finite, every task gets the weight 1 (with `mean` 1 / n for n active tasks), the state stays as
    it was, and the tensor `fallbacks` of the state counts one more. A task whose gradient is 0, as
    in a batch without a label of it, is left out: it is not `active`, its weight is 0, and the
    others get what they would get without it.
    """

    needs = "gramian"
    spaces = frozenset({"theta", "z", "last"})
    space: ClassVar[Space | None] = "theta"
    heads: ClassVar[Heads] = "unit"
    mean: ClassVar[bool] = True

    def init(
        self,
        num_tasks: int,
        *,
        num_params: int | None = None,
        device: torch.device,
        dtype: torch.dtype,
    ) -> dict[str, Tensor]:
        """`fallbacks`, a count."""
        return {"fallbacks": torch.zeros((), dtype=torch.int64, device=device)}

    def step(self, state: State, losses: Tensor, gramian: Tensor) -> tuple[Tensor, State]:  # type: ignore[override]
        """See `Weighting.step`; computed in 64 bits, the weights in the losses' precision."""
        exact = gramian.double()
        finite = exact.isfinite().all() & losses.isfinite().all()
        exact = torch.where(finite, exact, 0.0)
        active = exact.diagonal() > 0
        weights, solved, after = self.solve(state, losses.double(), exact, active)
        sound = finite & active.any() & solved & weights.isfinite().all()
        count = torch.where(active.any(), active.sum(), len(active)) if self.mean else 1
        weights = torch.where(sound, weights, torch.ones_like(weights) / count)
        weights = torch.where(active | ~sound, weights, 0.0).to(losses.dtype)
        return weights, settled(state, after, sound)

    def solve(
        self, state: State, losses: Tensor, gramian: Tensor, active: Tensor
    ) -> tuple[Tensor, Tensor, State]:
        """The weights `[T]`, whether there is an answer (boolean scalar), and the state after.

        Losses and Gramian are float64 and finite; where no task is `active` (boolean `[T]`), what
        comes out does not matter. Nothing may depend on tasks that are not active.
        """
        raise NotImplementedError


def settled(state: State, after: State, sound: Tensor) -> State:
    """The state `after` a step that was `sound`, else the one before with one fallback more."""
    # What did not change stays the same object: an optimizer may hold it.
    changed = {name: value for name, value in after.items() if value is not state[name]}
    kept = {
        name: torch.where(sound, value.to(state[name].dtype), state[name])
        for name, value in changed.items()
    }
    return {**state, **kept, "fallbacks": state["fallbacks"] + ~sound}
