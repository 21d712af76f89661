"""Jacobi's rotations against LAPACK, and what is built on either."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mtmm.solvers import symmetric
from mtmm.weighting import aligned, build

SIZES = [1, 2, 3, 4, 5, 8, 11, 20, 40]


def gramian(size: int, rank: int, seed: int = 0) -> Tensor:
    """Of rows of very different lengths."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(size, rank, generator=generator, dtype=torch.float64)
    rows = rows * torch.exp(2 * torch.randn(size, 1, generator=generator, dtype=torch.float64))
    return rows @ rows.mT


def assert_decomposed(matrix: Tensor) -> None:
    values, vectors = symmetric.by_rotations(matrix)
    size = len(matrix)
    spare = len(values) - size
    assert spare == size % 2
    bound = 1e-12 * float(matrix.abs().amax())
    expected = torch.cat([torch.linalg.eigvalsh(matrix), matrix.new_zeros(spare)])
    torch.testing.assert_close(values.sort().values, expected.sort().values, rtol=0, atol=bound)
    again = vectors @ torch.diag(values) @ vectors.mT
    torch.testing.assert_close(again, matrix, rtol=0, atol=bound)
    torch.testing.assert_close(vectors @ vectors.mT, torch.eye(size).double(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_rotations_find_the_eigenvalues_and_vectors(size: int) -> None:
    for seed in range(3):
        assert_decomposed(gramian(size, size + 3, seed))
        assert_decomposed(gramian(size, max(1, size // 2), seed))  # singular
        assert_decomposed(gramian(size, size, seed) - gramian(size, size, seed + 9))  # indefinite


@pytest.mark.parametrize("size", [2, 3, 8])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_equal_eigenvalues_are_no_problem(size: int, scale: float) -> None:
    assert_decomposed(torch.zeros(size, size, dtype=torch.float64))
    assert_decomposed(scale * torch.eye(size, dtype=torch.float64))
    assert_decomposed(scale * torch.ones(size, size, dtype=torch.float64))
    assert_decomposed(scale * (torch.eye(size).double() + torch.ones(size, size).double()))


def test_on_a_cpu_the_decomposition_is_lapacks() -> None:
    matrix = gramian(4, 6)
    for found, expected in zip(symmetric.eigen(matrix), torch.linalg.eigh(matrix), strict=True):
        assert torch.equal(found, expected)


def test_vmap_lifts_rotations() -> None:
    """Which nothing that asks for a number could be."""
    matrices = torch.stack([gramian(5, 7, seed) for seed in range(3)])
    values, vectors = torch.vmap(symmetric.by_rotations)(matrices)
    for i, matrix in enumerate(matrices):
        alone = symmetric.by_rotations(matrix)
        torch.testing.assert_close(values[i], alone[0])
        torch.testing.assert_close(vectors[i], alone[1])


@pytest.mark.parametrize("way", ["eigen", "by_rotations"])
@pytest.mark.parametrize("size", [2, 3, 8, 11])
def test_a_pseudo_solution(monkeypatch: pytest.MonkeyPatch, way: str, size: int) -> None:
    monkeypatch.setattr(symmetric, "eigen", getattr(symmetric, way))
    right = torch.arange(1.0, size + 1, dtype=torch.float64)
    for matrix in (gramian(size, size + 3), gramian(size, max(1, size // 2))):
        found = symmetric.pseudo_solve(matrix, right, 1e-10)
        expected = torch.linalg.pinv(matrix, rtol=1e-10, hermitian=True) @ right
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


def test_a_pseudo_solution_takes_small_eigenvalues_for_0() -> None:
    matrix = torch.diag(torch.tensor([1.0, 1e-4, -1e-4], dtype=torch.float64))
    right = torch.ones(3, dtype=torch.float64)
    strict = symmetric.pseudo_solve(matrix, right, 1e-3)
    loose = symmetric.pseudo_solve(matrix, right, 1e-5)
    torch.testing.assert_close(strict.tolist(), [1.0, 0.0, 0.0])
    torch.testing.assert_close(loose.tolist(), [1.0, 1e4, 0.0])


@pytest.mark.parametrize("name", ["aligned", "config", "imtl_g"])
@pytest.mark.parametrize("size", [2, 3, 7, 8])
def test_methods_give_the_same_on_either(
    monkeypatch: pytest.MonkeyPatch, name: str, size: int
) -> None:
    def weights(matrix: Tensor) -> Any:
        weighting = build(name, num_tasks=size, dtype=torch.float64)
        return weighting.weights(torch.ones(size, dtype=torch.float64), matrix)

    matrix = gramian(size, size + 3)
    without = torch.ones(size, dtype=torch.float64)
    without[size // 2] = 0  # a task without a gradient
    for given in (matrix, matrix * without[:, None] * without):
        by_lapack = weights(given)
        with monkeypatch.context() as patch:
            patch.setattr(symmetric, "eigen", symmetric.by_rotations)
            patch.setattr(aligned, "eigen", symmetric.by_rotations)
            torch.testing.assert_close(weights(given), by_lapack, rtol=1e-7, atol=1e-10)
