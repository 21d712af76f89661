"""From a frame of records to one row per variant: means, paired differences, verdicts, costs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.cost import Costs
from bench.delta_m import delta_m_flat, delta_m_per_task
from bench.statistics import (
    SIGN_FLIP_MAX_N,
    PairedDifference,
    bootstrap_interval,
    holm,
    mean_interval,
    paired_difference,
    sign_flip,
    smallest_detectable,
)

ALPHA = 0.05
"""Family-wise error rate of the verdicts."""

POWER = 0.8
"""The probability with which the smallest detectable difference would have been found."""

RESAMPLING_MIN_N = 10
"""Fewest pairs for sign flip and bootstrap: below, the one has no power, the other no coverage."""

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Scores of two runs (`[pairs]`), paired by position."""

NOT_FAILED = ("ok", "skipped", "missing")


class Directed(Protocol):
    """What `compare` must know of a metric."""

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger value is the better one."""
        ...

    @property
    def ideal(self) -> float:
        """The best value there is; that of a share is 1."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The variants of a suite against its baseline.

    `table` has one row per variant (see `compare`); `primary` maps each task to its primary
    metric, of which `shares` are at best 1. `family` is the number of tests that Holm's correction
    counts; `smallest_detectable` the true difference in score, median over the family, that one of
    them would have found with probability `POWER` at level `ALPHA` / family (NaN where none can be
    said). `batch_size` is that of the timing columns, None without timing.
    """

    table: pd.DataFrame
    baseline: str
    primary: Mapping[str, str]
    shares: frozenset[str]
    family: int
    smallest_detectable: float
    batch_size: int | None


def compare(
    frame: pd.DataFrame,
    *,
    baseline: str,
    single_task: Mapping[str, str],
    metrics: Mapping[str, Directed],
    family: Collection[str] | None = None,
    rounds: pd.DataFrame | None = None,
) -> Comparison:
    """Compare every variant of one suite's frame with `baseline`, paired by seed.

    `single_task` maps a variant to the one with its single-task runs; `metrics` gives the directed
    metrics, a task's primary one first; `family` those with verdicts (default: all but baseline).
    `rounds` are the suite's round medians (see `Results`), from which ratios have their intervals.

    Variants come in the frame's order. Metrics, score and difference are fractions, as in the
    frame; intervals are 95 % Student t over seeds; what cannot be said is NaN:

    - `n` finished and `failed` seeds; primary `<task>.<metric>` and `score`, with `_lo` and `_hi`;
    - `difference` (mean over the `n_pairs` seeds that both finished, over the tasks that both
      have), `_lo`, `_hi`, `p` (paired t-test), `p_holm`, `verdict`: "baseline", "better", "worse",
      "not distinguishable", or "" without a test (fewer than two pairs, or outside the family);
    - `p_sign_flip`, `bootstrap_lo`, `bootstrap_hi` from ten pairs on;
    - `delta_m_per_task` (%, positive = better) and `delta_m_flat` (%, positive = worse), over all
      `metrics` of the variant's tasks, seed by seed against the single-task run of that seed;
    - `forward_ms`, `backward_ms`, `optimizer_ms`, `step_ms`, `inference_ms` (with `_lo_ms` and
      `_hi_ms`), `samples_per_s`, `peak_mib`, `time_n` and, of mode `pipeline`,
      `pipeline_samples_per_s` of the newest timing at the first batch size; `step_ratio` to the
      baseline's step in the same block, paired by round, with `_lo`, `_hi` (95 % t over rounds) and
      `step_verdict`: "baseline", "faster", "slower", "same" or "unclear" at a threshold of 3 %, ""
      where it was not timed; `params`, `flops`.

    Raises ValueError for unknown variants, several suites, or two records of one variant and seed.
    """
    _check_frame(frame)
    variants = list(dict.fromkeys(frame["variant"]))
    members = set(variants) - {baseline} if family is None else set(family)
    twins = {*single_task, *single_task.values()}
    _check_known(variants, baseline=[baseline], family=members, single_task=twins)
    columns = _metric_columns(frame, metrics)
    primary = {task: next(m for m in metrics if m in of_task) for task, of_task in columns.items()}
    directions = _directions(columns, metrics)
    runs = finished(frame, variants)
    pairs = {
        name: score_pairs(runs[name], runs[baseline], columns)
        for name in variants
        if name != baseline
    }
    differences = {name: paired_difference(a, b) for name, (a, b) in pairs.items()}
    tests = {name: d for name, d in differences.items() if name in members and d.n >= 2}
    adjusted = dict(zip(tests, holm([d.p for d in tests.values()]), strict=True))
    costs, failed = Costs(frame, rounds), _failed(frame)
    rows = [
        {"variant": name, "n": len(runs[name]), "failed": failed.get(name, 0)}
        | _accuracy(runs[name], primary)
        | _difference(differences.get(name), adjusted.get(name))
        | _resampling(pairs.get(name))
        | _delta_m(runs[name], runs.get(single_task.get(name, ""), frame.iloc[:0]), directions)
        | _cost(costs.row(name, baseline), runs[name])
        for name in variants
    ]
    return Comparison(
        table=pd.DataFrame(rows),
        baseline=baseline,
        primary=primary,
        shares=frozenset(name for name in primary.values() if metrics[name].ideal == 1),
        family=len(tests),
        smallest_detectable=_smallest_detectable(tests.values()),
        batch_size=costs.batch_size,
    )


def _check_known(variants: Sequence[str], **named: Collection[str]) -> None:
    for parameter, names in named.items():
        unknown = sorted(set(names) - set(variants))
        if unknown:
            raise ValueError(
                f"{parameter} must name variants of the frame ({', '.join(variants)}), "
                f"found {', '.join(unknown)}"
            )


def _check_frame(frame: pd.DataFrame) -> None:
    suites = frame["suite"].unique().tolist()
    if len(suites) > 1:
        raise ValueError(f"frame must hold one suite, found {', '.join(suites)}")
    train = frame[frame["kind"] == "train"]
    twice = train[train.duplicated(["variant", "seed"])]
    if not twice.empty:
        first = twice.iloc[0]
        raise ValueError(
            "frame must hold one train record per variant and seed, "
            f"found two of variant {first['variant']!r}, seed {first['seed']}"
        )


def _metric_columns(
    frame: pd.DataFrame, metrics: Mapping[str, Directed]
) -> dict[str, tuple[str, ...]]:
    """The metrics of each task, both in the frame's order: `test.<task>.<metric>`."""
    found: dict[str, tuple[str, ...]] = {}
    for column in frame.columns:
        task, dot, metric = column.removeprefix("test.").rpartition(".")
        if column.startswith("test.") and dot and metric in metrics:
            found[task] = (*found.get(task, ()), metric)
    return found


def _directions(
    columns: Mapping[str, Sequence[str]], metrics: Mapping[str, Directed]
) -> dict[str, bool]:
    """Whether higher is better, for each `<task>.<metric>`."""
    return {
        f"{task}.{metric}": metrics[metric].higher_is_better
        for task, of_task in columns.items()
        for metric in of_task
    }


def finished(frame: pd.DataFrame, variants: Sequence[str]) -> dict[str, pd.DataFrame]:
    """The finished train records of each variant, by seed."""
    train = frame[(frame["kind"] == "train") & (frame["status"] == "ok")].set_index("seed")
    found = dict(list(train.groupby("variant", sort=False, observed=True)))
    return {name: found.get(name, train.iloc[:0]) for name in variants}


def _failed(frame: pd.DataFrame) -> dict[str, int]:
    """Failed train records of each variant; units skipped or not run yet are no failures."""
    failed = (frame["kind"] == "train") & ~frame["status"].isin(NOT_FAILED)
    return dict(Counter(frame.loc[failed, "variant"]))


def _cost(row: dict[str, float | str], run: pd.DataFrame) -> dict[str, float | str]:
    """The columns of a variant's timing; its size is known from training too."""
    for name in ("params", "flops"):
        known = _values(run, name)
        if math.isnan(float(row[name])) and not known.empty:
            row[name] = float(known.iloc[-1])
    return row


def _values(run: pd.DataFrame, column: str) -> pd.Series[float]:
    """A column's known values by seed; none where no record of the suite has the column."""
    if column not in run:
        return pd.Series(dtype=np.float64)
    return run[column].dropna().astype(np.float64)


def _interval(name: str, values: pd.Series[float] | Sequence[float]) -> dict[str, float]:
    mean, lo, hi = mean_interval(values)
    return {name: mean, f"{name}_lo": lo, f"{name}_hi": hi}


def _accuracy(run: pd.DataFrame, primary: Mapping[str, str]) -> dict[str, float]:
    row: dict[str, float] = {}
    for task, metric in primary.items():
        row |= _interval(f"{task}.{metric}", _values(run, f"test.{task}.{metric}"))
    return row | _interval("score", _values(run, "test.score"))


def score_pairs(run: pd.DataFrame, baseline: pd.DataFrame, tasks: Collection[str]) -> Pair:
    """The scores of the seeds that both have, over the tasks both have, paired by position."""
    own, other = _scored(run, tasks), _scored(baseline, tasks)
    columns = ["test.score"] if own == other else [task for task in own if task in other]
    pair = pd.concat([_mean_of(run, columns), _mean_of(baseline, columns)], axis=1).dropna()
    return pair.iloc[:, 0].to_numpy(), pair.iloc[:, 1].to_numpy()


def _scored(run: pd.DataFrame, tasks: Collection[str]) -> list[str]:
    """The columns of the tasks' scores that a run has."""
    columns = [f"test.{task}.score" for task in tasks]
    return [column for column in columns if not _values(run, column).empty]


def _mean_of(run: pd.DataFrame, columns: Sequence[str]) -> pd.Series[float]:
    """The mean of the columns by seed; no seed where there are no columns."""
    values = [_values(run, column) for column in columns]
    return (
        pd.concat(values, axis=1).mean(axis=1, skipna=False)
        if values
        else run.index[:0].to_series()
    )


def _difference(difference: PairedDifference | None, p_holm: float | None) -> dict[str, object]:
    if difference is None:
        unknown = PairedDifference(
            n=0, mean=math.nan, sd=math.nan, lo=math.nan, hi=math.nan, p=math.nan
        )
        return _difference(unknown, None) | {"verdict": "baseline"}
    return {
        "difference": difference.mean,
        "difference_lo": difference.lo,
        "difference_hi": difference.hi,
        "n_pairs": difference.n,
        "p": difference.p,
        "p_holm": math.nan if p_holm is None else float(p_holm),
        "verdict": "" if p_holm is None else score_verdict(difference.mean, p_holm),
    }


def score_verdict(difference: float, p_holm: float) -> str:
    """What a difference in score and its adjusted p say."""
    if p_holm >= ALPHA:
        return "not distinguishable"
    return "better" if difference > 0 else "worse"


def _resampling(
    pair: Pair | None,
) -> dict[str, float]:
    row = {"p_sign_flip": math.nan, "bootstrap_lo": math.nan, "bootstrap_hi": math.nan}
    if pair is None or len(pair[0]) < RESAMPLING_MIN_N:
        return row
    difference = pair[0] - pair[1]
    if difference.size <= SIGN_FLIP_MAX_N:
        row["p_sign_flip"] = sign_flip(difference)
    interval = bootstrap_interval(difference)
    return row | {"bootstrap_lo": interval.lo, "bootstrap_hi": interval.hi}


def _delta_m(
    run: pd.DataFrame, base: pd.DataFrame, directions: Mapping[str, bool]
) -> dict[str, float]:
    """Both definitions, seed by seed over the columns that the variant has."""
    own = [column for column in directions if run[f"test.{column}"].notna().any()]
    task_of = {column: column.rpartition(".")[0] for column in own}
    per_task: list[float] = []
    flat: list[float] = []
    seeds = run.index.intersection(base.index) if own else run.index[:0]
    names = [f"test.{column}" for column in own]
    rows, of_base = (of.loc[seeds, names].to_numpy(np.float64).tolist() for of in (run, base))
    for row, base_row in zip(rows, of_base, strict=True):
        values = dict(zip(own, row, strict=True))
        base_values = dict(zip(own, base_row, strict=True))
        per_task.append(delta_m_per_task(values, base_values, directions, task_of))
        flat.append(delta_m_flat(values, base_values, directions))
    return _interval("delta_m_per_task", _known(per_task)) | _interval("delta_m_flat", _known(flat))


def _known(values: Sequence[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


def _smallest_detectable(tests: Collection[PairedDifference]) -> float:
    """Median over the tests; one without spread (identical arms) has no say."""
    detectable = [
        smallest_detectable(test.sd, test.n, ALPHA / len(tests), POWER)
        for test in tests
        if test.sd > 0
    ]
    return float(np.median(detectable)) if detectable else math.nan
