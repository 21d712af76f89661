"""Which variants are worth their cost: score against step time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.compare import Comparison

RULE = (
    "A variant is dominated only where another one's score interval lies wholly above its own and "
    "that one's step time interval wholly below its own; all others are on the front."
)


def costed(comparison: Comparison) -> pd.DataFrame:
    """The rows of a comparison's table that can be on a front.

    They have a score, and are timed in the block of the baseline and trained on its tasks: neither
    times of different blocks nor scores over different tasks are comparable.
    """
    table = comparison.table
    known = table[[f"{task}.{metric}" for task, metric in comparison.primary.items()]].notna()
    base = known[table["variant"] == comparison.baseline].iloc[0]
    same_tasks = (known == base).all(axis=1)
    return table[same_tasks & table["step_ratio"].notna() & table["score"].notna()]


def on_front(table: pd.DataFrame) -> pd.Series[bool]:
    """For each row of a comparison's table, whether no other row dominates it.

    a dominates b where score_lo(a) > score_hi(b) and step_hi_ms(a) < step_lo_ms(b). Without an
    interval (one seed, few samples) nothing can be said: such a row neither dominates nor is
    dominated.
    """
    lo, hi = (table[f"score_{end}"].to_numpy(np.float64) for end in ("lo", "hi"))
    fast, slow = (table[f"step_{end}_ms"].to_numpy(np.float64) for end in ("lo", "hi"))
    # Comparisons with NaN are false.
    dominates = (lo[:, None] > hi[None, :]) & (slow[:, None] < fast[None, :])
    return pd.Series(~dominates.any(axis=0), index=table.index)


def envelope(table: pd.DataFrame) -> pd.DataFrame:
    """`step_ms` and `score` of the rows that no row is faster than at the same or a higher score.

    Estimates alone, from the fastest on: the line of a figure, no judgement.
    """
    ordered = table.sort_values(["step_ms", "score"], ascending=[True, False])
    best = ordered["score"].cummax()
    rising = best > best.shift(fill_value=-np.inf)
    return ordered.loc[rising, ["step_ms", "score"]]
