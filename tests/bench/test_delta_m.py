"""The published tables are the reference: their rows must give their own Δm."""

from __future__ import annotations

import math

import pytest

from bench.delta_m import delta_m_flat, delta_m_per_task

TASK_OF = {
    "miou": "segmentation",
    "pixel_accuracy": "segmentation",
    "absolute": "depth",
    "relative": "depth",
    "mean": "normal",
    "median": "normal",
    "within_11": "normal",
    "within_22": "normal",
    "within_30": "normal",
}
LOWER = {"absolute", "relative", "mean", "median"}
HIGHER_IS_BETTER = {column: column not in LOWER for column in TASK_OF}

NYUV2_SINGLE = (38.30, 63.76, 0.6754, 0.2780, 25.01, 19.21, 30.14, 57.20, 69.15)
NYUV2 = {
    # method: (metrics in the order of TASK_OF, published flat drop in %, per-task gain in %)
    "LS": ((39.29, 65.33, 0.5493, 0.2263, 28.15, 23.96, 22.09, 47.50, 61.08), 5.59, 0.88),
    "SI": ((38.45, 64.27, 0.5354, 0.2201, 27.60, 23.37, 22.53, 48.57, 62.32), 4.39, None),
    "RLW": ((37.17, 63.77, 0.5759, 0.2410, 28.27, 24.18, 22.26, 47.05, 60.62), 7.78, None),
    "DWA": ((39.11, 65.31, 0.5510, 0.2285, 27.61, 23.18, 24.17, 50.18, 62.39), 3.57, None),
    "UW": ((36.87, 63.17, 0.5446, 0.2260, 27.04, 22.61, 23.54, 49.05, 63.65), 4.05, None),
    "MGDA": ((30.47, 59.90, 0.6070, 0.2555, 24.88, 19.45, 29.18, 56.88, 69.36), 1.38, -1.66),
    "PCGrad": ((38.06, 64.64, 0.5550, 0.2325, 27.41, 22.80, 23.86, 49.83, 63.14), 3.97, 1.11),
    "GradDrop": ((39.39, 65.12, 0.5455, 0.2279, 27.48, 22.96, 23.38, 49.44, 62.87), 3.58, 2.07),
    "CAGrad": ((39.79, 65.49, 0.5486, 0.2250, 26.31, 21.58, 25.61, 52.36, 65.58), 0.20, 4.33),
    "Nash-MTL": ((40.13, 65.93, 0.5261, 0.2171, 25.26, 20.08, 28.40, 55.47, 68.15), -4.04, 7.65),
    "FAMO": ((38.88, 64.90, 0.5474, 0.2194, 25.06, 19.57, 29.21, 56.61, 68.98), -4.10, 6.79),
}


@pytest.mark.parametrize("method", NYUV2)
def test_nyuv2(method: str) -> None:
    row, flat, per_task = NYUV2[method]
    values = dict(zip(TASK_OF, row, strict=True))
    base = dict(zip(TASK_OF, NYUV2_SINGLE, strict=True))
    assert delta_m_flat(values, base, HIGHER_IS_BETTER) == pytest.approx(flat, abs=0.02)
    if per_task is not None:
        found = delta_m_per_task(values, base, HIGHER_IS_BETTER, TASK_OF)
        assert found == pytest.approx(per_task, abs=0.006)


@pytest.mark.parametrize(
    ("row", "flat"),
    [
        ((75.18, 93.49, 0.0155, 46.77), 22.60),  # LS
        ((70.95, 91.73, 0.0161, 33.83), 14.11),  # SI
        ((75.16, 93.48, 0.0141, 37.60), 11.64),  # CAGrad
        ((74.54, 93.29, 0.0145, 32.59), 8.13),  # FAMO
    ],
)
def test_cityscapes_flat(row: tuple[float, ...], flat: float) -> None:
    columns = ("miou", "pixel_accuracy", "absolute", "relative")
    values = dict(zip(columns, row, strict=True))
    base = dict(zip(columns, (74.01, 93.16, 0.0125, 27.77), strict=True))
    # The published inputs are rounded: 0.0001 of 0.0125 is 0.2 points of this mean.
    assert delta_m_flat(values, base, HIGHER_IS_BETTER) == pytest.approx(flat, abs=0.1)


AUTO_LAMBDA = ((43.37, 52.24, 22.40), (True, False, False))
OFFICE_31 = ((86.61, 95.63, 96.85), (True, True, True))
RECON = ((98.37, 89.63), (True, True))


@pytest.mark.parametrize(
    ("reference", "row", "per_task"),
    [
        (AUTO_LAMBDA, (44.64, 43.32, 24.48), 3.57),  # equal
        (AUTO_LAMBDA, (47.17, 40.97, 23.68), 8.21),  # Auto-λ
        (OFFICE_31, (83.53, 97.27, 96.85), -0.61),  # EW
        (OFFICE_31, (85.47, 95.90, 97.03), -0.27),  # MGDA
        (OFFICE_31, (85.12, 98.63, 98.51), 1.05),  # DB-MTL
        (RECON, (97.42, 88.82), -0.94),  # joint
        (RECON, (95.19, 89.46), -1.71),  # MGDA
        (RECON, (97.37, 88.68), -1.04),  # PCGrad
        (RECON, (97.47, 88.85), -0.90),  # CAGrad
        (RECON, (98.27, 89.51), -0.12),  # MMoE
    ],
)
def test_published_per_task(
    reference: tuple[tuple[float, ...], tuple[bool, ...]], row: tuple[float, ...], per_task: float
) -> None:
    tasks = "abc"[: len(row)]
    values = dict(zip(tasks, row, strict=True))
    base = dict(zip(tasks, reference[0], strict=True))
    higher_is_better = dict(zip(tasks, reference[1], strict=True))
    found = delta_m_per_task(values, base, higher_is_better, {task: task for task in tasks})
    assert found == pytest.approx(per_task, abs=0.02)


def test_the_definitions_weigh_tasks_differently() -> None:
    # Gains: 10 % for the only metric of a, 10 % and -50 % for the two of b.
    values = {"a.x": 1.1, "b.x": 2.2, "b.y": 3.0}
    base = {"a.x": 1.0, "b.x": 2.0, "b.y": 2.0}
    higher = {"a.x": True, "b.x": True, "b.y": False}
    task_of = {"a.x": "a", "b.x": "b", "b.y": "b"}
    assert delta_m_per_task(values, base, higher, task_of) == pytest.approx((10 - 20) / 2)
    assert delta_m_flat(values, base, higher) == pytest.approx(30 / 3)


def test_no_change_is_zero_and_negative_metrics_keep_their_direction() -> None:
    base = {"a": -2.0}
    assert delta_m_flat(base, base, {"a": True}) == 0.0
    assert delta_m_per_task({"a": -1.0}, base, {"a": True}, {"a": "a"}) == pytest.approx(50.0)


def test_what_cannot_be_said() -> None:
    assert math.isnan(delta_m_flat({"a": 0.5}, {"a": 0.0}, {"a": True}))
    with pytest.raises(ValueError, match=r"base must have every column of values, lacks \['b'\]"):
        delta_m_flat({"a": 0.5, "b": 0.5}, {"a": 0.5}, {"a": True, "b": True})
    with pytest.raises(ValueError, match="values must hold at least one column"):
        delta_m_per_task({}, {}, {}, {})
