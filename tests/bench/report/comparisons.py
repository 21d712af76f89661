"""Small comparisons out of a few records."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from bench.compare import Comparison, compare


@dataclass(frozen=True)
class Metric:
    higher_is_better: bool
    ideal: float = 1.0


def records(
    variant: str, scores: tuple[float, ...], tasks: tuple[str, ...] = ("script",)
) -> list[dict[str, object]]:
    return [
        {"suite": "demo", "variant": variant, "kind": "train", "seed": seed, "reason": ""}
        | {"status": "diverged" if math.isnan(score) else "ok", "test.score": score}
        | {f"test.{task}.accuracy": score for task in tasks}
        | {"params": 1_234_567}
        for seed, score in enumerate(scores)
    ]


def timing(variant: str, step_ms: float) -> dict[str, object]:
    return {
        "suite": "demo",
        "variant": variant,
        "kind": "time",
        "status": "ok",
        "time.mode": "train",
        "time.batch_size": 256,
        "time.block": "b1",
        "time.forward_ms": 0.01234,
        "time.backward_ms": 25.06,
        "time.step_ms": step_ms,
        "samples_per_s": 12345.6,
        "peak_mib": 99.96,
        "flops": 3.44e9,
    }


BASE, WORSE = (0.50, 0.60, 0.70), (0.40, 0.49, 0.61)


def comparison(rows: list[dict[str, object]], **single_task: str) -> Comparison:
    return compare(
        pd.DataFrame(rows),
        baseline="concat",
        single_task=single_task,
        metrics={"accuracy": Metric(True)},
    )


def small_comparison() -> Comparison:
    """Variants that are worse, lost or half there; one has single-task runs, two were timed."""
    return comparison(
        [
            *records("concat", BASE),
            *records("a|b\nc", WORSE),
            *records("lost", (math.nan, math.nan)),
            *records("film", (0.501, 0.601, math.nan)),
            timing("concat", 40.0),
            timing("a|b\nc", 1234.0),
        ],
        concat="a|b\nc",
    )
