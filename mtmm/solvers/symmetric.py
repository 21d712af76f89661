"""Eigenvalues of small symmetric matrices."""

from __future__ import annotations

import torch
from torch import Tensor

_SWEEPS = 10


def eigen(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues `[T]` and eigenvectors `[T, T]` (columns) of a symmetric matrix, in no order.

    On a GPU by rotations: PyTorch's own solver waits for the device there.
    """
    if matrix.is_cuda:
        return by_rotations(matrix)
    values, vectors = torch.linalg.eigh(matrix)
    return values, vectors


def by_rotations(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """The same by Jacobi's method, with disjoint pairs rotated at once (Brent & Luk 1985).

    A fixed number of sweeps: convergence is quadratic. For an odd T there is one pair more, the
    value 0 and a vector of zeros.
    """
    size = len(matrix)
    half = (size + 1) // 2
    work = torch.nn.functional.pad(matrix, (0, size % 2, 0, size % 2))
    vectors = torch.eye(2 * half, dtype=matrix.dtype, device=matrix.device)
    for _ in range(_SWEEPS * (2 * half - 1)):
        turn = _next_pairs(_rotation(work, half), half)
        work = turn.mT @ work @ turn
        vectors = vectors @ turn
    return work.diagonal(), vectors[:size]


def pseudo_solve(matrix: Tensor, right: Tensor, tolerance: float) -> Tensor:
    """M⁺r `[T]`, with eigenvalues below `tolerance` times the largest taken for 0."""
    values, vectors = eigen(matrix)
    kept = values > tolerance * values.amax()
    inverse = torch.where(kept, 1 / torch.where(kept, values, 1.0), 0.0)
    return vectors @ (inverse * (right @ vectors))


def _rotation(work: Tensor, half: int) -> Tensor:
    """The rotation of coordinates k and k + half, for every k, that makes their entries 0."""
    first, second = work.diagonal()[:half], work.diagonal()[half:]
    mixed = work[:half, half:].diagonal()
    ratio = (second - first) / (2 * torch.where(mixed == 0, 1.0, mixed))
    tangent = torch.where(ratio < 0, -1.0, 1.0) / (ratio.abs() + (1 + ratio.square()).sqrt())
    tangent = torch.where(mixed == 0, 0.0, tangent)
    cosine = (1 + tangent.square()).rsqrt()
    sine, straight = torch.diag(tangent * cosine), torch.diag(cosine)
    return torch.cat([torch.cat([straight, sine], 1), torch.cat([-sine, straight], 1)], 0)


def _next_pairs(turn: Tensor, half: int) -> Tensor:
    """The columns in the order of the next round of a tournament: who sits opposite changes."""
    top, bottom = turn[:, :half], turn[:, half:]
    return (
        torch.cat([top[:, :1], bottom[:, :1], top[:, 1:-1], bottom[:, 1:], top[:, -1:]], 1)
        if half > 1
        else turn
    )
