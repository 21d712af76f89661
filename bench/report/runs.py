"""The comparison of two runs for a reader, and for a program."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from bench.contrasts import ALPHA
from bench.lines import one_line
from bench.report.columns import MISSING, Column, bounded, p_value, three_digits, times
from bench.report.environments import Difference, differences, environments
from bench.report.frame import Results
from bench.report.table import aligned
from bench.runs import RunComparison

MOST_SETTINGS = 20
"""Settings and facts of one kind that are told before the rest is counted."""


def text(found: RunComparison, a: Results, b: Results) -> str:
    """Tables and notes for the terminal."""
    return "\n".join(_lines(found, a, b))


def as_json(found: RunComparison, a: Results, b: Results) -> str:
    """The same in full precision; what is not known is null."""
    identity, state = _environments(a, b)
    told = {
        "a": _run(a, found.devices_a),
        "b": _run(b, found.devices_b),
        "scores": _records(found.scores),
        "times": _records(found.times),
        "only_a": list(found.only_a),
        "only_b": list(found.only_b),
        "lost": list(found.lost),
        "settings": _records(found.settings),
        "mixed": found.mixed,
        "identity": [_as_dict(difference) for difference in identity],
        "state": [_as_dict(difference) for difference in state],
        "metrics": list(_metrics(a, b)),
    }
    return json.dumps(told, indent=1, ensure_ascii=False)


def score_columns(table: pd.DataFrame) -> list[Column]:
    """Variant, pairs, both scores, difference in points, adjusted p, verdict."""
    return [
        Column("variant", tuple(map(one_line, table["variant"]))),
        _numbers("pairs", table["n_pairs"], "{:.0f}".format),
        _numbers("A\n%", 100 * table["score_a"], "{:.1f}".format),
        _numbers("B\n%", 100 * table["score_b"], "{:.1f}".format),
        bounded(table, "difference", "B − A\npoints"),
        _numbers("p\nHolm", table["p_holm"], p_value),
        Column("verdict", tuple(word or MISSING for word in table["verdict"])),
    ]


def time_columns(table: pd.DataFrame) -> list[Column]:
    """Variant, what was timed, both times, both ratios, verdict."""
    return [
        Column("variant", tuple(map(one_line, table["variant"]))),
        Column("mode", tuple(map(one_line, table["mode"]))),
        _numbers("batch", table["batch_size"], "{:.0f}".format),
        _numbers("A\nms", table["a_ms"], three_digits),
        _numbers("B\nms", table["b_ms"], three_digits),
        _ratios(table, "ratio", "ratio\nB / A"),
        _ratios(table, "reference", "of the\nreference arm"),
        Column("verdict", tuple(table["verdict"])),
    ]


def _lines(found: RunComparison, a: Results, b: Results) -> Iterator[str]:
    for name, results, devices in (("A", a, found.devices_a), ("B", b, found.devices_b)):
        timed = f", timed on {', '.join(map(one_line, devices))}" if devices else ", not timed"
        yield f"{name}: {results.folder} (suite {one_line(results.manifest['suite'])}{timed})"
    yield ""
    yield aligned(score_columns(found.scores))
    if len(found.times):
        yield aligned(time_columns(found.times))
    yield from (f"- {note}" for note in notes(found))
    for name, only in (("A", found.only_a), ("B", found.only_b)):
        if only:
            yield f"only in {name}: {', '.join(map(one_line, only))}"
    for lost in found.lost:
        yield f"failed in B: {one_line(lost)}"
    yield from _warnings(found, a, b)


def notes(found: RunComparison) -> Iterator[str]:
    """What the numbers cannot show themselves."""
    yield (
        "Scores: paired by seed, B − A over the seeds and tasks of both, 95 % Student t intervals; "
        f"better or worse where the Holm-adjusted p of the paired t-test is below {ALPHA:g}, "
        "otherwise not distinguishable, which does not mean equal."
    )
    if not len(found.times):
        yield "Times: no variant was timed in both."
        return
    percent = " or ".join(f"{100 * bound:g} %" for bound in sorted(set(found.times["threshold"])))
    yield (
        "Ratios: B / A of the steps' typical times, 95 % Welch t interval over rounds. Slower or "
        f"faster where the interval excludes 1 and the ratio is more than {percent} off; same "
        "where the whole interval is within that; otherwise unclear."
    )
    yield (
        "Reference arm: the same fixed work in every timing block. Where it is not within the "
        "threshold, or is absent, the machine was not the same, and the time is unclear."
    )
    for row in found.times.to_dict("records"):
        if row["why"]:
            what = f"{one_line(row['variant'])}, {row['mode']} at batch size {row['batch_size']}"
            yield f"unclear: {what}: {row['why']}"
    if found.mixed:
        yield "A and B were timed on different devices: the ratios compare devices, not code."


def _warnings(found: RunComparison, a: Results, b: Results) -> Iterator[str]:
    of_settings = [
        f"setting {row['setting']}: {_told(row['a'])} in A, {_told(row['b'])} in B "
        f"({row['variants']} of {len(found.scores)} variants)"
        for row in found.settings.to_dict("records")
    ]
    identity, state = _environments(a, b)
    yield from _first("warning: ", [*_metrics(a, b), *of_settings])
    yield from _first("warning: ", [_sentence(difference) for difference in identity])
    yield from _first("state: ", [_sentence(difference) for difference in state])


def _first(prefix: str, lines: list[str]) -> Iterator[str]:
    yield from (f"{prefix}{one_line(line)}" for line in lines[:MOST_SETTINGS])
    if len(lines) > MOST_SETTINGS:
        yield f"{prefix}and {len(lines) - MOST_SETTINGS} more (--json has all)"


def _environments(a: Results, b: Results) -> tuple[list[Difference], list[Difference]]:
    return differences(environments(a).values(), environments(b).values())


def _metrics(a: Results, b: Results) -> Iterator[str]:
    """Metrics of one name that are not defined alike."""
    of_a, of_b = (results.manifest["metrics"] for results in (a, b))
    for name in of_a:
        if name in of_b and of_a[name] != of_b[name]:
            yield f"metric {name} is defined otherwise in B: its values are not comparable"


def _sentence(difference: Difference) -> str:
    return f"{difference.name}: {difference.a} in A, {difference.b} in B"


def _told(value: object) -> str:
    return str(value) or "not there"


def _numbers(heading: str, values: pd.Series[float], show: Any) -> Column:
    cells = tuple(MISSING if math.isnan(value) else show(value) for value in values)
    return Column(heading, cells, tuple(map(float, values)))


def _ratios(table: pd.DataFrame, name: str, heading: str) -> Column:
    bounds = zip(table[name], table[f"{name}_lo"], table[f"{name}_hi"], strict=True)
    return Column(heading, tuple(times(*of) for of in bounds), tuple(map(float, table[name])))


def _run(results: Results, devices: tuple[str, ...]) -> Mapping[str, Any]:
    manifest = results.manifest
    return {"folder": str(results.folder), "suite": manifest["suite"], "devices": list(devices)}


def _as_dict(difference: Difference) -> Mapping[str, str]:
    return {"name": difference.name, "a": difference.a, "b": difference.b}


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(key): None if isinstance(x, float) and math.isnan(x) else x for key, x in row.items()}
        for row in table.to_dict("records")
    ]
