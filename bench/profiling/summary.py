"""A trace in a few numbers."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bench.profiling.activity import Activity, activity
from bench.profiling.attribution import attribute
from bench.profiling.kernels import kernel_mix, kernel_table
from bench.profiling.parts import DIRECTIONS, FORWARD
from bench.profiling.trace import DEVICE, Trace

MOST_KERNELS = 10
"""Rows of the kernel table in a summary."""


def summarise(trace: Trace) -> dict[str, Any]:
    """What a trace tells, ready for JSON. Times are µs per step, means over its steps.

    `device` is `cuda` where the trace has kernels, else `cpu`, and `device_names` what the profiler
    calls the devices that worked; `steps` their number, `step_us` a step's length as the host saw
    it. `work_us` is the sum of `forward_us`, `backward_us`, `optimizer_us` and `other_us`: of a
    device its kernels, copies and sets, else the time in operators; `unattributed_share` the part
    of it that belongs to no part of the model, `joined_share` as in
    `bench.profiling.attribution.Attribution`.

    `straggler_ratio` is the slowest encoder's forward work over the mean of the encoders' (parts
    `encoders.<modality>`, with their stages), so 1 where they are alike; None with fewer than two
    encoders at work.

    `kernels`, `launches`, `syncs` (per step), `copies` (by direction), `busy_share` and
    `idle_share` are as in `Activity`, and None without a device.

    `parts` has the rows of the attribution (`part`, `direction`, `us`, `share`), `kinds` the share
    of each kind of work, `top` the longest kernels or operators (`name`, `calls`, `total_us`,
    `mean_us`, `share`, `kind`; sums over the steps), `notes` what one must know to judge all this
    (`kind`, `text`).

    Raises:
        InputError: if there is no work in the steps.
    """
    found, kernels, device = attribute(trace), kernel_table(trace), activity(trace)
    step_us = sum(step.end - step.start for step in trace.steps) / len(trace.steps)
    notes = (*found.notes, *(() if device is None else device.notes))
    return {
        "trace": str(trace.path),
        "device": "cpu" if device is None else "cuda",
        "device_names": _device_names(trace),
        "steps": len(trace.steps),
        "step_us": step_us,
        "work_us": found.total_us,
        **{f"{direction}_us": found.us(direction) for direction in DIRECTIONS},
        "unattributed_share": found.unattributed_share,
        "joined_share": found.joined_share,
        "straggler_ratio": straggler_ratio(found.table),
        **_of_device(device),
        "parts": _records(found.table),
        "kinds": {row["kind"]: row["share"] for row in _records(kernel_mix(kernels))},
        "top": _records(kernels.head(MOST_KERNELS)),
        "notes": [note._asdict() for note in notes],
    }


def parts_by_direction(table: pd.DataFrame) -> pd.DataFrame:
    """An attribution's table with a row for each part: µs per direction, `us` and `share`.

    The longest part comes first.
    """
    wide = table.pivot_table(
        index="part", columns="direction", values="us", aggfunc="sum", fill_value=0.0
    )
    wide = wide.reindex(columns=list(DIRECTIONS), fill_value=0.0)
    wide["us"] = wide.sum(axis=1)
    wide["share"] = wide["us"] / wide["us"].sum()
    wide.columns.name = None
    return wide.sort_values("us", ascending=False, kind="stable").reset_index()


def straggler_ratio(table: pd.DataFrame) -> float | None:
    """Of an attribution's table; as in `summarise`."""
    names = table["part"].str.extract(r"^encoders\.([^.]+)", expand=False)
    forward = table.loc[table["direction"] == FORWARD, "us"].groupby(names).sum()
    forward = forward[forward > 0]
    return float(forward.max() / forward.mean()) if len(forward) > 1 else None


def _of_device(device: Activity | None) -> dict[str, Any]:
    names = ("kernels", "launches", "syncs", "copies", "busy_share", "idle_share")
    return {name: None if device is None else getattr(device, name) for name in names}


def _device_names(trace: Trace) -> list[str]:
    worked = {event.pid for event in trace.events if event.category in DEVICE}
    return [str(one.get("name")) for one in trace.devices if one.get("id") in worked]


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        dict(zip(table.columns, row, strict=True))
        for row in table.itertuples(index=False, name=None)
    ]
