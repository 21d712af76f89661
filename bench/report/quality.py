"""How good each measurement of a training step is: its profile, and its timing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from bench.lines import one_line
from bench.records import Record
from bench.report.columns import MISSING, Column, three_digits
from bench.report.parts import Row, timed_row

_PROFILE = ("overhead", "profiled_steps", "unattributed_share")
_TIMING = ("timed_steps", "rounds", "half_width", "iqr_share", "unstable_share", "flagged_share")


def quality_table(
    profiles: Mapping[str, Record], frame: pd.DataFrame, batch_size: int | None
) -> pd.DataFrame:
    """A row for each variant whose training step was profiled or timed.

    Of the profile: `overhead` (a profiled step over a plain one), `profiled_steps` and
    `unattributed_share` of the work that belongs to no part. Of the timing of the same step, or
    else of that at `batch_size`: `timed_steps` in so many `rounds`, `half_width` of
    the step's 95 % interval as a share of it, `iqr_share` (interquartile range of all steps over
    their median), `unstable_share` and `flagged_share` of the rounds, and why it ended (`stop`).
    """
    columns = ["variant", *_PROFILE, *_TIMING, "stop"]
    rows = []
    for variant in dict.fromkeys(map(str, frame["variant"])):
        profile = profiles.get(variant)
        told = _profiled(profile) | _timed(_timing(frame, variant, profile, batch_size))
        if told:
            rows.append({"variant": variant, **told})
    return pd.DataFrame(rows, columns=columns)


def printed_quality(table: pd.DataFrame) -> list[Column]:
    """The same for a reader; columns that no variant has are left out."""
    percent, count = "{:.1f}".format, "{:.0f}".format
    columns = [
        _numbers("profiler\nslows down ×", table["overhead"], "{:.2f}".format),
        _numbers("profiled\nsteps", table["profiled_steps"], count),
        _numbers("belongs to\nno part %", 100 * table["unattributed_share"], percent),
        _numbers("timed\nsteps", table["timed_steps"], count),
        _numbers("rounds", table["rounds"], count),
        _numbers("step ±\n%", 100 * table["half_width"], percent),
        _numbers("interquartile\nrange %", 100 * table["iqr_share"], three_digits),
        _numbers("warm-up not\nsettled %", 100 * table["unstable_share"], count),
        _numbers("machine\ndisturbed %", 100 * table["flagged_share"], count),
        Column("timing\nended", tuple(_word(word) for word in table["stop"])),
    ]
    known = [column for column in columns if set(column.cells) - {MISSING}]
    return [Column("variant", tuple(map(one_line, table["variant"]))), *known] if known else []


def quality_notes(table: pd.DataFrame) -> Iterator[str]:
    """What the words of the headings mean."""
    if table["overhead"].notna().any():
        yield (
            "Profiles: how many times longer a step takes under the profiler, the steps it looked "
            "at, and the share of their work that belongs to no part of the model."
        )
    if table["timed_steps"].notna().any():
        yield (
            "Timings: the steps timed and the rounds they came in; half the 95 % interval of the "
            "step over rounds, and the interquartile range of all steps, in % of the step; the "
            "shares of rounds whose warm-up did not settle, and in which the machine was busy "
            "with other things, throttled or shared. Ended: converged, where intervals were "
            "narrow enough, or budget, where its time was spent before."
        )


def _timing(
    frame: pd.DataFrame, variant: str, profile: Record | None, batch_size: int | None
) -> Row | None:
    if "time.mode" not in frame:
        return None
    same = None if profile is None else timed_row(frame, variant, profile)
    if same is not None:
        return same
    rows = frame[
        (frame["variant"] == variant)
        & (frame["status"] == "ok")
        & (frame["time.mode"] == "train")
        & (frame["time.batch_size"] == batch_size)
    ]
    return {str(key): x for key, x in rows.iloc[-1].items()} if len(rows) else None


def _profiled(profile: Record | None) -> dict[str, Any]:
    if profile is None:
        return {}
    summary = profile["summary"]
    told = (profile["overhead"], summary["steps"], summary["unattributed_share"])
    return dict(zip(_PROFILE, told, strict=True))


def _timed(row: Row | None) -> dict[str, Any]:
    if row is None:
        return {}
    step, lo, hi = (float(row.get(f"time.step{end}_ms", math.nan)) for end in ("", "_lo", "_hi"))
    named = ("n", "rounds", "step_iqr_share", "unstable_share", "flagged_share")
    steps, rounds, *shares = (row.get(f"time.{name}", math.nan) for name in named)
    told = (steps, rounds, (hi - lo) / 2 / step, *shares)
    return {**dict(zip(_TIMING, told, strict=True)), "stop": row.get("time.stop")}


def _numbers(heading: str, values: pd.Series[float], show: Callable[[float], str]) -> Column:
    numbers = tuple(map(float, values))
    return Column(heading, tuple(MISSING if math.isnan(x) else show(x) for x in numbers), numbers)


def _word(word: object) -> str:
    return one_line(word) if isinstance(word, str) else MISSING
