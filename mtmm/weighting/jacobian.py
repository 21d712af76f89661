"""Methods that need the task gradients themselves."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mtmm.spec import Space
from mtmm.weighting.base import State, Weighting
from mtmm.weighting.gramian import settled
from mtmm.weighting.usage import Heads


class JacobianWeighting(Weighting):
    """One gradient `[P]` from the rows of the task gradients `[T, P]`.

    A subclass defines `combine`. Where that has no answer, and for a Jacobian that is zero or not
    finite, the rows are added up (`mean`: averaged over the active tasks), the state stays as it
    was, and the tensor `fallbacks` of the state counts one more. A task whose gradient is 0 is left
    out, as in `GramianWeighting`.
    """

    needs = "jacobian"
    spaces = frozenset({"theta"})
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

    def step(  # type: ignore[override]
        self, state: State, losses: Tensor, jacobian: Tensor, features: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """See `Weighting.step`; computed in the precision of the Jacobian.

        In space `z` the representation itself comes with its gradients: `features` `[B, D]`, and P
        is B·D, sample by sample.
        """
        norms = torch.linalg.vector_norm(jacobian, dim=1)
        finite = norms.isfinite().all() & losses.isfinite().all()
        active = norms > 0
        gradient, solved, after = self.combine(state, losses, jacobian, features, active)
        sound = finite & active.any() & solved & torch.linalg.vector_norm(gradient).isfinite()
        count = torch.where(active.any(), active.sum(), len(active)) if self.mean else 1
        gradient = torch.where(sound, gradient, jacobian.sum(0) / count)
        return gradient, settled(state, after, sound)

    def combine(
        self,
        state: State,
        losses: Tensor,
        jacobian: Tensor,
        features: Tensor | None,
        active: Tensor,
    ) -> tuple[Tensor, Tensor, State]:
        """The gradient `[P]`, whether there is an answer (boolean scalar), and the state after.

        Where the Jacobian is not finite, or no task is `active` (boolean `[T]`), what comes out
        does not matter.
        """
        raise NotImplementedError
