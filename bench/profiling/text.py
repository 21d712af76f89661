"""The summary of a trace as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.lines import one_line
from bench.profiling.parts import DIRECTIONS
from bench.profiling.summary import parts_by_direction
from bench.report.columns import Column
from bench.report.table import aligned

MOST_PARTS = 40
MOST_LETTERS = 60


def summary_text(told: Mapping[str, Any]) -> str:
    """What `summarise` told, as text."""
    parts = parts_by_direction(pd.DataFrame(told["parts"]))
    return "\n".join(
        [
            *_head(told),
            "",
            aligned(_part_columns(parts.head(MOST_PARTS), told["work_us"])),
            *_more(parts),
            aligned(_kernel_columns(told["top"], told["steps"], told["kernels"] is not None)),
            _kinds(told["kinds"]),
            *(f"Note: {one_line(note['text'])}." for note in told["notes"]),
        ]
    )


def _head(told: Mapping[str, Any]) -> Iterator[str]:
    where = ", ".join(told["device_names"]) or told["device"]
    yield one_line(
        f"{told['trace']}: {told['steps']} steps of {_ms(told['step_us'])} ms under the profiler, "
        f"{where}"
    )
    each = ", ".join(f"{name} {_ms(told[f'{name}_us'])} ms" for name in DIRECTIONS)
    what = "in operators" if told["kernels"] is None else "of kernels and copies"
    yield f"{_ms(told['work_us'])} ms {what} a step: {each}"
    if told["kernels"] is not None:
        copies = "".join(f", {count:g} {name}" for name, count in told["copies"].items())
        yield (
            f"The device is busy {told['busy_share']:.0%} of a step; a step has "
            f"{told['launches']:g} launches, {told['kernels']:g} kernels, "
            f"{told['syncs']:g} waits of the host{copies}"
        )
    if told["straggler_ratio"] is not None:
        yield (
            f"The slowest encoder takes {told['straggler_ratio']:.2f} times the mean of the "
            "encoders, forward"
        )


def _part_columns(parts: pd.DataFrame, whole_us: float) -> list[Column]:
    used = [name for name in DIRECTIONS if parts[name].any()]
    return [
        Column("part", tuple(map(_short, parts["part"]))),
        *(_time(f"{name}\nms", parts[name].tolist()) for name in used),
        _time("all\nms", parts["us"].tolist()),
        _share([us / whole_us for us in parts["us"]]),
    ]


def _more(parts: pd.DataFrame) -> Iterator[str]:
    rest = parts[MOST_PARTS:]
    if len(rest):
        yield f"and {len(rest)} more parts, {_ms(rest['us'].sum())} ms together\n"


def _kernel_columns(top: Sequence[Mapping[str, Any]], steps: int, on_device: bool) -> list[Column]:
    calls = [row["calls"] / steps for row in top]
    return [
        Column("kernel" if on_device else "operator", tuple(_short(row["name"]) for row in top)),
        Column("kind", tuple(row["kind"] for row in top)),
        Column("calls\na step", tuple(f"{count:g}" for count in calls), tuple(calls)),
        _time("ms\na step", [row["total_us"] / steps for row in top]),
        _share([row["share"] for row in top]),
    ]


def _kinds(shares: Mapping[str, float]) -> str:
    told = ", ".join(f"{kind} {share:.1%}" for kind, share in shares.items() if share >= 0.0005)
    return f"Kinds of work, by name: {told}"


def _time(heading: str, values_us: Sequence[float]) -> Column:
    return Column(heading, tuple(map(_ms, values_us)), tuple(values_us))


def _share(shares: Sequence[float]) -> Column:
    return Column("share\n%", tuple(f"{100 * share:.1f}" for share in shares), tuple(shares))


def _ms(us: float) -> str:
    return f"{us / 1e3:.3f}"


def _short(name: str) -> str:
    plain = one_line(name)
    return plain if len(plain) <= MOST_LETTERS else plain[: MOST_LETTERS - 1] + "…"
