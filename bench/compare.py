"""From a frame of records to one row per variant: means, paired differences, verdicts, costs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from bench.contrasts import Best, Contrasts, choose_best, contrasts, values_of
from bench.cost import Costs
from bench.delta_m import delta_m_flat, delta_m_per_task
from bench.statistics import mean_interval, paired_difference

NOT_FAILED = ("ok", "skipped", "missing")

TO_BEST = "to_best_"
"""How the columns begin that set a variant against the second comparator."""

_OWN_VERDICT = {"": "baseline", TO_BEST: "best on val"}
"""What the verdict of a comparator is, by how its columns begin."""


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
    """The variants of a suite against its baseline, and against the best of some of them.

    `table` has one row per variant (below); `primary` maps each task to its primary
    metric, of which `shares` are at best 1. `members` are the variants that may have verdicts;
    `family` is the number of tests that Holm's correction counts; `smallest_detectable` the true
    difference in score, median over the family, that one of them would have found with probability
    `POWER` at level `ALPHA` / family (NaN where none can be said). `batch_size` is that of the
    timing columns, None without timing.

    Variants come in the frame's order. Metrics, score and difference are fractions, as in the
    frame; intervals are 95 % Student t over seeds; what cannot be said is NaN:

    - `n` finished and `failed` seeds; primary `<task>.<metric>` and `score`, with `_lo` and `_hi`;
    - `difference` (mean over the `n_pairs` seeds that both finished, over the tasks that both
      have), `_lo`, `_hi`, `p` (paired t-test), `p_holm`, `verdict`: "baseline", "better", "worse",
      "not distinguishable", or "" without a test (fewer than two pairs, or outside the family);
    - `p_sign_flip`, `bootstrap_lo`, `bootstrap_hi` from ten pairs on;
    - where there is a second comparator, the same about it: `to_best_difference` and so on, its own
      verdict "best on val";
    - `gain.<task>`, with `_lo` and `_hi`: the primary metric's difference to the single-task run of
      that seed, as a paired mean, positive = better;
    - `delta_m_per_task` (%, positive = better) and `delta_m_flat` (%, positive = worse), over all
      `metrics` of the variant's tasks, seed by seed against the single-task run of that seed;
    - `forward_ms`, `backward_ms`, `optimizer_ms`, `step_ms`, `inference_ms` (with `_lo_ms` and
      `_hi_ms`), `samples_per_s`, `peak_mib`, `time_n` and, of mode `pipeline`,
      `pipeline_samples_per_s` of the newest timing at the first batch size; `step_ratio` to the
      baseline's step in the same block, paired by round, with `_lo`, `_hi` (95 % t over rounds) and
      `step_verdict`: "baseline", "faster", "slower", "same" or "unclear" at a threshold of 3 %, ""
      where it was not timed; `params`, `flops`.
    """

    table: pd.DataFrame
    baseline: str
    best: Best
    primary: Mapping[str, str]
    shares: frozenset[str]
    members: frozenset[str]
    family: int
    smallest_detectable: float
    batch_size: int | None

    @property
    def comparators(self) -> dict[str, str]:
        """What variants are set against, by how the columns about it begin.

        The best is no second comparator where it is the baseline.
        """
        return _comparators(self.baseline, self.best)


def compare(
    frame: pd.DataFrame,
    *,
    baseline: str,
    single_task: Mapping[str, str],
    metrics: Mapping[str, Directed],
    family: Collection[str] | None = None,
    best_of: Collection[str] = (),
    rounds: pd.DataFrame | None = None,
) -> Comparison:
    """Compare every variant of one suite's frame with `baseline`, paired by seed.

    `single_task` maps a variant to the one with its single-task runs; `metrics` gives the directed
    metrics, a task's primary one first; `family` those with verdicts (default: all). The one of
    `best_of` with the highest mean score on val is a second comparator. `rounds` are the suite's
    round medians (see `Results`), from which ratios have their intervals.

    Raises ValueError for unknown variants, several suites, or two records of one variant and seed.
    """
    _check_frame(frame)
    variants = list(dict.fromkeys(frame["variant"]))
    members = frozenset(variants if family is None else family)
    twins = {*single_task, *single_task.values()}
    _check_known(variants, baseline=[baseline], family=members, best_of=best_of, single_task=twins)
    columns = _metric_columns(frame, metrics)
    primary = {task: next(m for m in metrics if m in of_task) for task, of_task in columns.items()}
    directions = _directions(columns, metrics)
    runs = finished(frame, variants)
    best = choose_best(runs, best_of)
    comparators = _comparators(baseline, best)
    against = contrasts(runs, comparators.values(), members, columns)
    costs, failed = Costs(frame, rounds), _failed(frame)
    rows = [
        {"variant": name, "n": len(runs[name]), "failed": failed.get(name, 0)}
        | _accuracy(runs[name], primary)
        | _differences(name, comparators, against)
        | _gains(runs[name], _alone(runs, single_task.get(name)), primary, directions)
        | _delta_m(runs[name], _alone(runs, single_task.get(name)), directions)
        | _cost(costs.row(name, baseline), runs[name])
        for name in variants
    ]
    return Comparison(
        table=pd.DataFrame(rows),
        baseline=baseline,
        best=best,
        primary=primary,
        shares=frozenset(name for name in primary.values() if metrics[name].ideal == 1),
        members=members,
        family=len(against.tests),
        smallest_detectable=against.smallest_detectable(),
        batch_size=costs.batch_size,
    )


def _comparators(baseline: str, best: Best) -> dict[str, str]:
    second = {} if best.variant in (None, baseline) else {TO_BEST: str(best.variant)}
    return {"": baseline, **second}


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
        known = values_of(run, name)
        if math.isnan(float(row[name])) and not known.empty:
            row[name] = float(known.iloc[-1])
    return row


def _interval(name: str, values: pd.Series[float] | Sequence[float]) -> dict[str, float]:
    mean, lo, hi = mean_interval(values)
    return {name: mean, f"{name}_lo": lo, f"{name}_hi": hi}


def _accuracy(run: pd.DataFrame, primary: Mapping[str, str]) -> dict[str, float]:
    row: dict[str, float] = {}
    for task, metric in primary.items():
        row |= _interval(f"{task}.{metric}", values_of(run, f"test.{task}.{metric}"))
    return row | _interval("score", values_of(run, "test.score"))


def _differences(
    variant: str, comparators: Mapping[str, str], against: Contrasts
) -> dict[str, object]:
    return {
        f"{prefix}{column}": value
        for prefix, other in comparators.items()
        for column, value in against.row(variant, other, _OWN_VERDICT[prefix]).items()
    }


def _alone(runs: Mapping[str, pd.DataFrame], twin: str | None) -> pd.DataFrame:
    """The single-task runs of a variant; none where it has no twin."""
    return next(iter(runs.values())).iloc[:0] if twin is None else runs[twin]


def _gains(
    run: pd.DataFrame,
    base: pd.DataFrame,
    primary: Mapping[str, str],
    directions: Mapping[str, bool],
) -> dict[str, float]:
    """The primary metric of each task against single-task learning, paired by seed."""
    row: dict[str, float] = {}
    for task, metric in primary.items():
        values = [values_of(of, f"test.{task}.{metric}") for of in (run, base)]
        pair = pd.concat(values, axis=1).dropna().to_numpy(np.float64)
        better, worse = (pair[:, 0], pair[:, 1])[:: 1 if directions[f"{task}.{metric}"] else -1]
        found = paired_difference(better, worse)
        name = f"gain.{task}"
        row |= {name: found.mean, f"{name}_lo": found.lo, f"{name}_hi": found.hi}
    return row


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
