"""What each part costs against the same part of the baseline, and how unequal encoders are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import pandas as pd

from bench.lines import one_line
from bench.records import Record
from bench.report.columns import MISSING, Column, three_digits
from bench.report.parts import ordered_groups, shown_as, timed_row

_RATIO = "ratio."
_STRAGGLER = "straggler_ratio"


def ratio_table(
    parts: pd.DataFrame, profiles: Mapping[str, Record], frame: pd.DataFrame, baseline: str
) -> pd.DataFrame:
    """A row for each profiled variant: `variant`, `ratio.<part>` and `straggler_ratio`.

    Of a part of `part_table`, in groups as they are printed: its ms, forward, backward and
    optimizer together, over the baseline's. NaN where either lacks the part, or where the two were
    not timed in one block: ratios hold within a block only. `straggler_ratio` is that of the
    profile, NaN where it has none. Columns without a number are left out.
    """
    parts = parts.assign(shown=[shown_as(group) for group in parts["group"]])
    cost = parts.groupby(["variant", "shown"])["ms"].sum(min_count=1).unstack()
    cost = cost.reindex(columns=ordered_groups(parts["shown"]))
    blocks = {name: _block(frame, name, profile) for name, profile in profiles.items()}
    base = cost.where(cost > 0).reindex([baseline]).iloc[0]
    rows = []
    for variant in profiles:
        same = blocks[variant] is not None and blocks[variant] == blocks.get(baseline)
        ratios = (cost.loc[variant] / (base if same else math.nan)).add_prefix(_RATIO)
        slowest = profiles[variant]["summary"].get(_STRAGGLER)
        straggler = math.nan if slowest is None else slowest
        rows.append({"variant": variant, **ratios.to_dict(), _STRAGGLER: straggler})
    table = pd.DataFrame(rows).dropna(axis="columns", how="all")
    return table if len(table.columns) > 1 else table.iloc[:0]


def printed_ratios(table: pd.DataFrame) -> list[Column]:
    """Variant, the ratio of each part to the baseline's, and the slowest encoder to their mean."""
    if not len(table):
        return []
    columns = [
        Column(_heading(str(name)), tuple(map(_cell, table[name])), tuple(map(float, table[name])))
        for name in table.columns[1:]
    ]
    return [Column("variant", tuple(map(one_line, table["variant"]))), *columns]


def ratio_notes(table: pd.DataFrame) -> Iterator[str]:
    """What the numbers of `ratio_table` cannot show themselves."""
    if any(name.startswith(_RATIO) for name in table.columns):
        yield (
            "Parts against the baseline: forward + backward in ms over those of the same part of "
            "the baseline, where both were timed in one block. They have no intervals: of a part "
            "that takes little, a ratio says little."
        )
    if _STRAGGLER in table:
        yield (
            "Slowest encoder: its forward work in the profile over the mean of the encoders'; 1 "
            "where all take the same. Encoders that could run at once would wait for it."
        )


def _block(frame: pd.DataFrame, variant: str, profile: Record) -> str | None:
    row = timed_row(frame, variant, profile)
    return None if row is None else str(row["time.block"])


def _heading(name: str) -> str:
    if name == _STRAGGLER:
        return "slowest encoder\nto their mean"
    return f"{one_line(name.removeprefix(_RATIO))}\nratio"


def _cell(ratio: float) -> str:
    return MISSING if math.isnan(ratio) else three_digits(ratio)
