from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import qmc

from bench.simplex import simplex_points


@pytest.mark.parametrize("tasks", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [1, 9, 64])
def test_points_are_weights_that_sum_to_the_number_of_tasks(tasks: int, count: int) -> None:
    points = np.array(simplex_points(tasks, count))
    assert points.shape == (count, tasks)
    assert (points >= 0).all()
    np.testing.assert_allclose(points.sum(1), tasks, atol=1e-9)
    assert points[0].tolist() == [1.0] * tasks
    if tasks > 1:
        assert len({tuple(point) for point in points}) == count


def test_they_do_not_change() -> None:
    assert simplex_points(2, 3) == ((1.0, 1.0), (1.174, 0.826), (0.285, 1.715))
    assert simplex_points(3, 9)[:5] == simplex_points(3, 5)


def test_they_cover_the_simplex_more_evenly_than_chance() -> None:
    # On the 2-simplex w/2 is uniform in 0..1 if the points are.
    share = np.array(simplex_points(2, 65))[1:, :1] / 2
    chance = np.random.default_rng(0).random((200, 64, 1))
    by_chance = [qmc.discrepancy(points, method="L2-star") for points in chance]
    assert qmc.discrepancy(share, method="L2-star") < np.quantile(by_chance, 0.05)
