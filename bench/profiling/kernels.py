"""What the work in a trace consists of: kernels, or where no device is, operators."""

from __future__ import annotations

import pandas as pd

from bench.profiling.kinds import KINDS, kind_of
from bench.profiling.trace import Trace
from bench.profiling.work import all_work, in_steps


def kernel_table(trace: Trace) -> pd.DataFrame:
    """What took the time in the steps of a trace, by name, the longest first.

    In the trace of a device a row is a kernel, copy or set; else an operator, without the time of
    the operators inside of it. `calls` and `total_us` are sums over all steps, `mean_us` is a call,
    `share` that of all work in steps, `kind` judged by name (see `bench.profiling.kinds`).

    Raises:
        InputError: if there is no work in the steps.
    """
    works = in_steps(trace, all_work(trace))
    events = [trace.events[work.event] for work in works]
    each = pd.DataFrame(
        {
            "name": [event.name for event in events],
            "us": [work.us for work in works],
            "kind": [kind_of(event.name, event.category) for event in events],
        }
    )
    table = (
        each.groupby(["name", "kind"], sort=False)["us"]
        .agg(calls="count", total_us="sum", mean_us="mean")
        .reset_index()
    )
    table["share"] = table["total_us"] / table["total_us"].sum()
    table = table[["name", "calls", "total_us", "mean_us", "share", "kind"]]
    return table.sort_values("total_us", ascending=False, kind="stable", ignore_index=True)


def kernel_mix(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a kernel table by `kind`: `calls`, `total_us` and `share`, the longest first.

    All of `KINDS` are there.
    """
    mix = table.groupby("kind")[["calls", "total_us", "share"]].sum()
    mix = mix.reindex(list(KINDS), fill_value=0).rename_axis("kind").reset_index()
    return mix.sort_values("total_us", ascending=False, kind="stable", ignore_index=True)
