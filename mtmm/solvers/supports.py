"""All supports of a few coordinates at once: exact answers to problems over x ≥ 0."""

from __future__ import annotations

import torch
from torch import Tensor

MOST = 10
"""More coordinates than these have too many supports."""


def supports(count: int, device: torch.device) -> Tensor:
    """Every subset of `count` coordinates as a row of ones and zeros, `[2^count, count]`."""
    numbers = torch.arange(2**count, device=device)
    places = torch.arange(count, device=device)
    return ((numbers[:, None] >> places) & 1).double()


def solved_on(matrix: Tensor, right: Tensor, chosen: Tensor) -> Tensor:
    """X `[N, T, K]` with (Mx)_S = r_S and x = 0 elsewhere, for M `[T, T]`, r `[T, K]`, S `[N, T]`.

    Not finite where M_SS is singular.
    """
    inside = chosen[:, :, None]
    reduced = matrix * inside * chosen[:, None, :] + torch.diag_embed(1 - chosen)
    solution: Tensor = torch.linalg.solve_ex(reduced, right * inside).result
    return solution


def best(candidates: Tensor, residuals: Tensor) -> Tensor:
    """Of candidates `[N, T, K]` that with the smallest residual `[N, K]` for each k, `[T, K]`."""
    residuals = torch.where(residuals.isfinite(), residuals, torch.inf)
    index = residuals.argmin(0)[None, None, :].expand(1, candidates.shape[1], -1)
    return candidates.gather(0, index).squeeze(0)
