"""Methods with an inner problem against exact answers found otherwise, on 200 random Jacobians."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from mtmm.weighting import build
from tests.mtmm.weighting import references
from tests.mtmm.weighting.jacobians import distance, random_jacobians, scale_free

COUNT = 200
BOUND = 1e-6


def solved(name: str, rows: Tensor, **settings: Any) -> tuple[Tensor, bool]:
    """The weights, and whether the method found an answer."""
    weighting = build(name, num_tasks=len(rows), dtype=rows.dtype, **settings)
    weights = weighting.weights(torch.ones(len(rows), dtype=rows.dtype), rows @ rows.mT)
    return weights, not bool(weighting.state["fallbacks"])


def mean_of(rows: Tensor) -> Tensor:
    return torch.full((len(rows),), 1 / len(rows), dtype=rows.dtype)


def upgrad(rows: Tensor) -> Tensor:
    each = torch.diag(mean_of(rows))
    return torch.stack([references.projected(rows, row) for row in each]).sum(0)


ALWAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "mgda": references.shortest,
    "upgrad": upgrad,
    "dualproj": lambda rows: references.projected(rows, mean_of(rows)),
}


@pytest.mark.parametrize("name", ALWAYS)
def test_convex_quadratic_programs(name: str) -> None:
    worst = 0.0
    for rows in random_jacobians(COUNT):
        weights, found = solved(name, rows)
        assert found
        worst = max(worst, distance(rows, ALWAYS[name](scale_free(rows)), weights))
    assert worst <= BOUND


@pytest.mark.parametrize(("c", "count"), [(0.5, COUNT), (0.1, 60), (0.9, 60)])
def test_cagrad(c: float, count: int) -> None:
    worst = 0.0
    for rows in random_jacobians(count):
        expected = references.averse(scale_free(rows), c)
        weights, found = solved("cagrad", rows, c=c)
        assert found
        assert expected is not None
        worst = max(worst, distance(rows, expected, weights))
    assert worst <= BOUND


@pytest.mark.parametrize("rows", [[[1.0, 2], [-1, -2]], [[1.0, 0], [0, 1], [-1, -1]]])
def test_cagrad_is_the_mean_where_its_direction_is_not_defined(rows: list[list[float]]) -> None:
    jacobian = torch.tensor(rows, dtype=torch.float64)
    weights, found = solved("cagrad", jacobian)
    assert not found
    assert references.averse(jacobian, 0.5) is None
    assert torch.equal(weights, mean_of(jacobian))


@pytest.mark.parametrize(
    ("name", "settings", "power"),
    [
        ("nash", {}, 1.0),
        ("fairgrad", {"alpha": 1.0}, 1.0),
        ("fairgrad", {"alpha": 2.0}, 0.5),
        ("fairgrad", {"alpha": 0.5}, 2.0),
    ],
)
def test_bargaining_where_some_direction_descends_for_all_and_the_mean_elsewhere(
    name: str, settings: dict[str, float], power: float
) -> None:
    worst, defined = 0.0, 0
    for rows in random_jacobians(COUNT):
        unit = scale_free(rows)
        weights, found = solved(name, rows, max_norm=None, **settings)
        assert found == references.common_descent(unit)
        defined += found
        if not found:
            assert torch.equal(weights, mean_of(rows))
            continue
        # Gw = w^{−p} at scale c: w goes as c^{−2 / (1 + p)}.
        size = float((rows / unit).nanmean()) ** (-2 / (1 + power))
        expected = references.proportional(unit, power) * size
        worst = max(worst, distance(rows, expected, weights))
    assert worst <= BOUND
    assert COUNT // 3 < defined < COUNT


@pytest.mark.parametrize("name", ["mgda", "upgrad", "dualproj", "cagrad", "nash", "fairgrad"])
def test_single_precision_gives_the_same_to_a_thousandth(name: str) -> None:
    generator = torch.Generator().manual_seed(3)
    for tasks in range(2, 9):
        rows = torch.randn(tasks, 40, generator=generator, dtype=torch.float64)
        exact, found = solved(name, rows)
        rough, also = solved(name, rows.float())
        assert found
        assert also
        assert distance(rows, exact, rough.double()) <= 1e-3


@pytest.mark.parametrize("name", ["mgda", "upgrad", "dualproj", "cagrad"])
@pytest.mark.parametrize("tasks", [11, 16, 40])
def test_more_tasks_than_supports_can_be_tried(name: str, tasks: int) -> None:
    generator = torch.Generator().manual_seed(tasks)
    reference = {**ALWAYS, "cagrad": lambda rows: references.averse(rows, 0.5)}[name]
    for size, shift in ((60, 0.0), (60, 0.3), (8, 0.0), (8, 1.0)):
        common = torch.randn(1, size, generator=generator, dtype=torch.float64)
        rows = torch.randn(tasks, size, generator=generator, dtype=torch.float64) + shift * common
        weights, found = solved(name, rows)
        expected = reference(scale_free(rows))
        assert found == (expected is not None)
        if expected is not None:
            assert distance(rows, expected, weights) <= BOUND
