"""Exact answers by other means than the library's: SciPy's solvers, and plain Newton iterations.

All take rows `[T, P]` in float64 and give weights `[T]`.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq, linprog, nnls
from torch import Tensor

Array = NDArray[np.float64]


def shortest(rows: Tensor) -> Tensor:
    """The simplex weights of the minimum-norm point, by non-negative least squares."""
    return torch.from_numpy(_shortest(rows.numpy()))


def projected(rows: Tensor, preference: Tensor) -> Tensor:
    """Weights of the projection of Σ preference_i g_i onto {d: d · g_i ≥ 0}."""
    matrix, u = rows.numpy(), preference.numpy()
    x, _ = nnls(matrix.T, -matrix.T @ u, maxiter=10_000)
    return torch.from_numpy(u + x)


def averse(rows: Tensor, c: float) -> Tensor | None:
    """Weights of CAGrad, by a root search over κ = c‖g_0‖ / ‖g_w‖; None where there is no κ."""
    matrix = rows.numpy()
    mean = matrix.mean(0)
    radius = c * float(np.linalg.norm(mean))

    def weights(kappa: float) -> Array:
        return _shortest(matrix + mean / kappa)

    def excess(log_kappa: float) -> float:
        kappa = float(np.exp(log_kappa))
        return kappa * float(np.linalg.norm(weights(kappa) @ matrix)) - radius

    # ‖g_w‖ is at most the longest row's, and here counts as 0 below a millionth of that.
    longest = np.linalg.norm(matrix, axis=1).max()
    if radius < 1e-12 * longest:
        return None
    low, high = np.log(0.5 * radius / longest), np.log(1e6 * radius / longest)
    if excess(high) < 0:
        return None
    kappa = float(np.exp(brentq(excess, low, high, xtol=1e-15, rtol=1e-15)))
    return torch.from_numpy(1 / len(matrix) + kappa * weights(kappa))


def common_descent(rows: Tensor) -> bool:
    """Whether some d has d · g_i > 0 for all i: a linear program."""
    matrix = rows.numpy() / np.linalg.norm(rows.numpy(), axis=1, keepdims=True)
    tasks, size = matrix.shape
    # Largest t with d · u_i ≥ t and |d_j| ≤ 1.
    answer = linprog(
        np.r_[np.zeros(size), -1.0],
        A_ub=np.c_[-matrix, np.ones(tasks)],
        b_ub=np.zeros(tasks),
        bounds=[(-1, 1)] * size + [(None, 1)],
    )
    assert answer.success
    assert answer.x is not None
    return float(answer.x[-1]) > 1e-7


def proportional(rows: Tensor, power: float) -> Tensor:
    """The w > 0 with Gw = w^{−power}, by Newton's method with backtracking until it stays."""
    matrix = rows.numpy()
    gramian = matrix @ matrix.T
    w = np.diag(gramian) ** (-1 / (1 + power))

    def value(w: Array) -> float:
        gain = np.log(w).sum() if power == 1 else (w ** (1 - power)).sum() / (1 - power)
        return float(0.5 * w @ gramian @ w - gain)

    for _ in range(2000):
        slope = gramian @ w - w**-power
        step = -np.linalg.solve(gramian + np.diag(power * w ** (-power - 1)), slope)
        length = min(1.0, 0.95 / max(1e-300, float((-step / w).max())))
        while length > 1e-12 and value(w + length * step) > value(w) + 1e-4 * length * slope @ step:
            length /= 2
        w = w + length * step
        if np.abs(step / w).max() < 1e-13:
            break
    return torch.from_numpy(w)


def _shortest(matrix: Array) -> Array:
    scale = np.linalg.norm(matrix, axis=1).mean()
    stacked = np.r_[matrix.T / scale, np.ones((1, len(matrix)))]
    x, _ = nnls(stacked, np.r_[np.zeros(matrix.shape[1]), 1.0], maxiter=10_000)
    weights: Array = x / x.sum()
    return weights
