from __future__ import annotations

import itertools
import math

import torch

from mtmm.solvers.supports import best, solved_on, supports


def test_every_subset_once() -> None:
    rows = {tuple(row) for row in supports(4, torch.device("cpu")).tolist()}
    assert rows == set(itertools.product([0.0, 1.0], repeat=4))
    assert supports(4, torch.device("cpu")).dtype == torch.float64


def test_a_solution_is_that_of_the_rows_and_columns_chosen() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    right = torch.randn(4, 2, generator=generator, dtype=torch.float64)
    chosen = supports(4, matrix.device)
    solution = solved_on(matrix, right, chosen)
    assert solution.shape == (16, 4, 2)
    for row, x in zip(chosen.bool(), solution, strict=True):
        assert not x[~row].any()
        torch.testing.assert_close(x[row], torch.linalg.solve(matrix[row][:, row], right[row]))


def test_the_best_candidate_is_chosen_for_each_column_and_nan_never() -> None:
    candidates = torch.arange(12.0).reshape(3, 2, 2)
    residuals = torch.tensor([[math.nan, 2.0], [1.0, math.inf], [3.0, 1.0]])
    expected = torch.stack([candidates[1, :, 0], candidates[2, :, 1]], 1)
    assert torch.equal(best(candidates, residuals), expected)
