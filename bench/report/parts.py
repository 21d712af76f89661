"""What each part of a model costs in a step: a profile's shares of its forward and backward times.

A profiler slows a step down; what it tells are shares. They are taken of the phases of the same
step without it, as a timing of the same variant, batch size and device has them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.lines import one_line
from bench.records import Record
from bench.report.columns import MISSING, Column, three_digits

Row = Mapping[str, Any]

FORWARD, BACKWARD = "forward", "backward"
_REST = ("zero_grad", "clip", "grad_accumulate", "unattributed")
_GATHERED = {"heads": "heads", "loss": "losses"}


def part_columns(profile: Record | None, row: Row) -> dict[str, float]:
    """`cost.<part>.forward_ms` and `backward_ms` of a timing's row; none without its profile.

    An encoder has columns for its stages, and for all of them together.
    """
    if profile is None or not _of_the_same(profile, row):
        return {}
    made: dict[str, float] = {}
    for (part, direction), ms in _scaled(profile["summary"]["parts"], row).items():
        for name in dict.fromkeys([part, group_of(part)]):
            column = f"cost.{name}.{direction}_ms"
            made[column] = made.get(column, 0.0) + ms
    return made


def part_table(profiles: Mapping[str, Record], frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each profiled variant, part and direction.

    Columns: `variant, part, group, direction`, `share` of the profiled step's work, `us` in it, and
    `ms` in a step without the profiler, NaN where that was not timed.
    """
    rows = []
    for variant, profile in profiles.items():
        timed = timed_row(frame, variant, profile)
        scaled = {} if timed is None else _scaled(profile["summary"]["parts"], timed)
        for (part, direction), (us, share) in _work(profile["summary"]["parts"]).items():
            rows.append(
                {
                    "variant": variant,
                    "part": part,
                    "group": group_of(part),
                    "direction": direction,
                    "share": share,
                    "us": us,
                    "ms": scaled.get((part, direction), math.nan),
                }
            )
    columns = ["variant", "part", "group", "direction", "share", "us", "ms"]
    return pd.DataFrame(rows, columns=columns)


def group_of(part: str) -> str:
    """The encoder that a stage belongs to; any other part as it is."""
    words = part.split(".")
    return ".".join(words[:2]) if words[0] == "encoders" else part


def kinds_table(profiles: Mapping[str, Record]) -> pd.DataFrame:
    """A row for each profiled variant: the share of each kind of kernel, or of operator."""
    rows = [{"variant": v, **profile["summary"]["kinds"]} for v, profile in profiles.items()]
    table = pd.DataFrame(rows)
    return table.loc[:, (table != 0).any()] if len(table) else table


def printed_parts(table: pd.DataFrame) -> list[Column]:
    """Variant, and forward + backward of each encoder, fusion, heads and the rest.

    In ms where all were timed, else in % of the profiled step.
    """
    if not len(table):
        return []
    table, unit = with_groups(table)
    variants = list(dict.fromkeys(table["variant"]))
    columns = [Column("variant", tuple(map(one_line, variants)))]
    for shown in ordered_groups(table["shown"]):
        of = table[table["shown"] == shown].pivot_table(
            index="variant", columns="direction", values="value", aggfunc="sum"
        )
        pairs = [_pair(of.loc[v] if v in of.index else None) for v in variants]
        cells = tuple(_cell(pair) for pair in pairs)
        values = tuple(math.nan if pair is None else sum(pair) for pair in pairs)
        columns.append(Column(f"{one_line(shown)}\n{unit}", cells, values))
    return columns


def memory_table(profiles: Mapping[str, Record]) -> pd.DataFrame:
    """A row for each profiled variant and part: `peak_mib` held at the peak, `allocated_mib`."""
    rows = [
        {"variant": variant, "group": group_of(one["part"]), **one}
        for variant, profile in profiles.items()
        for one in profile.get("memory", ())
    ]
    columns = ["variant", "part", "group", "direction", "peak_mib", "allocated_mib"]
    return pd.DataFrame(rows, columns=columns)


def printed_memory(table: pd.DataFrame) -> list[Column]:
    """Variant, and what of its memory's rise each part holds at the peak of a step, in MiB."""
    if not len(table):
        return []
    table = table.assign(shown=[shown_as(group) for group in table["group"]])
    variants = list(dict.fromkeys(table["variant"]))
    columns = [Column("variant", tuple(map(one_line, variants)))]
    for shown in ordered_groups(table["shown"]):
        held = table[table["shown"] == shown].groupby("variant")["peak_mib"].sum()
        values = tuple(float(held.get(variant, math.nan)) for variant in variants)
        cells = tuple(MISSING if math.isnan(x) else _mib(x) for x in values)
        columns.append(Column(f"{one_line(shown)}\nMiB", cells, values))
    return columns


def printed_kinds(table: pd.DataFrame) -> list[Column]:
    """Variant, and the share of each kind of work in %."""
    if not len(table):
        return []
    columns = [Column("variant", tuple(map(one_line, table["variant"])))]
    for kind in table.columns[1:]:
        values = tuple(float(x) for x in 100 * table[kind])
        columns.append(Column(f"{kind}\n%", tuple(f"{x:.1f}" for x in values), values))
    return columns


def profile_columns(parts: pd.DataFrame, profiles: Mapping[str, Record]) -> list[list[Column]]:
    """The printed tables of profiles that have something to show: parts, memory, kinds."""
    tables = (
        printed_parts(parts),
        printed_memory(memory_table(profiles)),
        printed_kinds(kinds_table(profiles)),
    )
    return [columns for columns in tables if columns]


def part_notes(profiles: Mapping[str, Record]) -> Iterator[str]:
    """How the numbers of parts came about, and how far they can be trusted."""
    if not profiles:
        return
    steps = {profile["summary"]["steps"] for profile in profiles.values()}
    overhead = [profile["overhead"] for profile in profiles.values()]
    lost = [100 * profile["summary"]["unattributed_share"] for profile in profiles.values()]
    devices = sorted({profile["device_name"] for profile in profiles.values()})
    yield (
        f"Parts: forward + backward, the shares of {_span(steps, '{}')} profiled steps on "
        f"{', '.join(map(one_line, devices))}; in ms, taken of the phases of the step without the "
        f"profiler, which slows it down {_span(overhead, '{:.2f}')} times. "
        f"{_span(lost, '{:.1f}')} % of the work belongs to no part; it is in the rest, with the "
        "accumulation and clipping of gradients. MiB: what of a step's memory each part holds when "
        "most is held, its results for the backward pass and gradients."
    )
    told: dict[str, list[str]] = {}
    for variant, profile in profiles.items():
        for note in profile["summary"]["notes"]:
            told.setdefault(note["text"], []).append(variant)
    for text, variants in told.items():
        names = ", ".join(map(one_line, variants[:3]))
        more = f" and {len(variants) - 3} more" if len(variants) > 3 else ""
        yield f"Parts of {names}{more}: {one_line(text)}."


def _span(values: Iterable[Any], form: str) -> str:
    low, high = (form.format(value) for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _direction(one: Mapping[str, Any]) -> str:
    """Weights are found in the backward phase of a step, whatever the profiler sees."""
    weights = one["part"] == "weighting" and one["direction"] == "other"
    return BACKWARD if weights else str(one["direction"])


def _work(parts: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], tuple[float, float]]:
    """Microseconds and share by part and direction."""
    work: dict[tuple[str, str], tuple[float, float]] = {}
    for one in parts:
        key = one["part"], _direction(one)
        us, share = work.get(key, (0.0, 0.0))
        work[key] = us + one["us"], share + one["share"]
    return work


def _scaled(parts: Sequence[Mapping[str, Any]], timed: Row) -> dict[tuple[str, str], float]:
    """Milliseconds by part and direction."""
    work = {key: us for key, (us, _) in _work(parts).items()}
    solver = timed.get("time.solver_ms")
    extra = 0.0 if solver is None or pd.isna(solver) else float(solver)
    phases = {FORWARD: timed["time.forward_ms"], BACKWARD: timed["time.backward_ms"] + extra}
    whole = {d: sum(us for (_, other), us in work.items() if other == d) for d in phases}
    return {
        (part, direction): us / whole[direction] * float(phases[direction])
        for (part, direction), us in work.items()
        if direction in phases
    } | {
        (part, direction): float(timed["time.optimizer_ms"])
        for part, direction in work
        if part == "optimizer"
    }


def _of_the_same(profile: Record, row: Row) -> bool:
    return (
        row.get("time.mode") == "train"
        and row.get("status") == "ok"
        and row.get("time.batch_size") == profile["batch_size"]
        and row.get("time.device_name") == profile["device_name"]
    )


def timed_row(frame: pd.DataFrame, variant: str, profile: Record) -> Row | None:
    """The frame's row of the same training step without the profiler; None if there is none."""
    rows = frame[(frame["variant"] == variant) & (frame["kind"] == "time")]
    named = ({str(key): value for key, value in row.items()} for row in rows.to_dict("records"))
    found = [row for row in named if _of_the_same(profile, row)]
    return found[-1] if found else None


def shown_as(group: str) -> str:
    """The column or colour that a group is part of: heads, losses and the rest are one each."""
    if group in _REST:
        return "rest"
    first, dot, _ = group.partition(".")
    return _GATHERED.get(first, group) if dot else group


def with_groups(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The table with `value` in the unit, which is told too, and with `shown`: what is one column.

    The unit is ms where all were timed, else the share of a profiled step's work.
    """
    timed = bool(table.loc[table["direction"].isin([FORWARD, BACKWARD]), "ms"].notna().all())
    values = table["ms"] if timed else 100 * table["share"]
    shown = [shown_as(group) for group in table["group"]]
    return table.assign(value=values, shown=shown), "ms" if timed else "% of work"


def ordered_groups(shown: Iterable[str]) -> list[str]:
    """Encoders first, then what comes after them in a step; names of one's own between."""
    last = ("fusion", "sharing", "heads", "losses", "weighting", "optimizer", "rest")
    names = list(dict.fromkeys(shown))
    own = [name for name in names if name not in last]
    encoders = sorted(name for name in own if name.startswith("encoders."))
    return [*encoders, *(n for n in own if n not in encoders), *(n for n in last if n in names)]


def _pair(found: pd.Series[float] | None) -> tuple[float, ...] | None:
    """Forward and backward; of what is neither, one number."""
    if found is None:
        return None
    numbers = {str(key): float(value) for key, value in found.items() if not math.isnan(value)}
    if FORWARD in numbers or BACKWARD in numbers:
        return numbers.get(FORWARD, 0.0), numbers.get(BACKWARD, 0.0)
    return (sum(numbers.values()),) if numbers else None


def _cell(pair: tuple[float, ...] | None) -> str:
    return MISSING if pair is None else " + ".join(three_digits(x) if x else "0" for x in pair)


def _mib(value: float) -> str:
    return three_digits(value) if value >= 0.005 else "0"
