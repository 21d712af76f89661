"""Fast adaptive multitask optimization."""

from __future__ import annotations

import torch
from torch import Tensor

from mtmm.settings import NotNegative, Rate
from mtmm.weighting.base import State, Weighting

_BETA1, _BETA2, _EPS = 0.9, 0.999, 1e-8
_SMALL = 1e-8


class FAMO(Weighting):
    """Equal relative decrease of all losses, by weights that follow what each step did to them (Liu
    et al. 2023, arXiv 2306.03792).

    w_i = (z_i / L_i) / Σ (z_j / L_j) with z = softmax(ξ). After a step, ξ goes down the gradient of
    Σ z_i δ_i for the decrease δ_i of log L_i on the same batch, with Adam of rate `lr` and weight
    decay `gamma` (published code has 1e-5, 1e-3 and 1e-2; the paper 1e-3). That takes a second
    forward pass a step. Losses must be above 0: a task without a label in the batch is left out.
    """

    def __init__(self, *, lr: Rate = 0.025, gamma: NotNegative = 1e-3) -> None:
        self.lr = lr
        self.gamma = gamma

    def init(
        self,
        num_tasks: int,
        *,
        num_params: int | None = None,
        device: torch.device,
        dtype: torch.dtype,
    ) -> dict[str, Tensor]:
        """ξ as `logits`; `first`, `second` and `steps` of its Adam; `before`: the last losses."""
        zeros = torch.zeros(num_tasks, device=device, dtype=dtype)
        state = dict.fromkeys(("logits", "first", "second", "before"), zeros)
        return {**state, "steps": torch.zeros((), device=device, dtype=dtype)}

    def step(self, state: State, losses: Tensor) -> tuple[Tensor, State]:
        """See `Weighting.step`."""
        active = losses > 0
        shares = torch.softmax(state["logits"], 0) / torch.where(active, losses, 1.0)
        shares = torch.where(active, shares, 0.0)
        total = shares.sum()
        weights = shares / torch.where(total > 0, total, 1.0)
        return weights.to(losses.dtype), {**state, "before": losses.to(state["logits"].dtype)}

    def after_step(self, state: State, losses: Tensor) -> State:
        """See `Weighting.after_step`."""
        before = state["before"]
        known = (before > 0) & (losses > 0)
        logs = [
            torch.where(known, value, 1.0).clamp(min=_SMALL).log() for value in (before, losses)
        ]
        decrease = (logs[0] - logs[1]).to(state["logits"].dtype)
        shares = torch.softmax(state["logits"], 0) * known
        z = shares / torch.where(known.any(), shares.sum(), 1.0)
        gradient = z * (decrease - (z * decrease).sum()) + self.gamma * state["logits"]
        steps = state["steps"] + 1
        first = _BETA1 * state["first"] + (1 - _BETA1) * gradient
        second = _BETA2 * state["second"] + (1 - _BETA2) * gradient.square()
        size = (second / (1 - _BETA2**steps)).sqrt() + _EPS
        logits = state["logits"] - self.lr * first / (1 - _BETA1**steps) / size
        after = {"logits": logits, "first": first, "second": second, "steps": steps}
        # A step that was not finite must not stay in the logits for good.
        sound = gradient.isfinite().all()
        moves = {"logits": known, "first": known, "second": known, "steps": known.any()}
        kept = {n: torch.where(sound & moves[n], v, state[n]) for n, v in after.items()}
        return {**state, **kept}
