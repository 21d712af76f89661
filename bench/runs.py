"""Two runs of a suite against each other: what became better or worse, faster or slower."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from bench.compare import finished
from bench.contrasts import Pair, score_pairs, score_verdict
from bench.errors import InputError
from bench.rounds import Ratio, Typical, judge, rounds_to_decide, unpaired_ratio
from bench.statistics import holm, paired_difference

BETWEEN_RUNS: Mapping[str, float] = {"cpu": 0.10, "cuda": 0.05}
"""Smallest relative change of interest between two runs, by type of device."""

Key = tuple[str, str, int]
"""Variant, mode and batch size of a timing."""

Row = Mapping[str, Any]
"""A record's row of a frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunComparison:
    """Run B against run A, variant by variant.

    `scores` has a row per variant of both: `variant, n_pairs, score_a, score_b` (means over the
    seeds that both finished, over the tasks that both have), `difference` (B − A) with `_lo` and
    `_hi`, `p`, `p_holm`, `verdict`: "better", "worse", "not distinguishable", or "" below two
    pairs. `times` has one per variant, mode and batch size that both timed: `variant, mode,
    batch_size, a_ms, b_ms, ratio` (B / A) and `reference` (the ratio of the two blocks' reference
    arms) with `_lo` and `_hi`, `threshold`, `verdict`: "faster", "slower", "same" or "unclear";
    `why` says what makes it unclear, `rounds` about how many rounds would decide (NaN where none
    would). `lost` names what finished in A and failed in B.

    `settings` has a row per setting in which variants of one name differ: `setting, a, b,
    variants` (their number).
    """

    scores: pd.DataFrame
    times: pd.DataFrame
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    lost: tuple[str, ...]
    settings: pd.DataFrame
    devices_a: tuple[str, ...]
    devices_b: tuple[str, ...]

    @property
    def mixed(self) -> bool:
        """Whether times of different devices are compared."""
        return bool(self.devices_a and self.devices_b) and self.devices_a != self.devices_b

    def verdicts(self) -> set[str]:
        """The verdicts there are; "failed" where something was lost."""
        told = {*self.scores["verdict"], *self.times["verdict"]} - {""}
        return told | ({"failed"} if self.lost else set())


def compare_runs(
    a: pd.DataFrame,
    b: pd.DataFrame,
    *,
    threshold: float | None = None,
    allow_mixed: bool = False,
) -> RunComparison:
    """Compare the frames of two runs; variants are matched by name, cells by name and seed.

    `threshold` is the relative change of time that matters (default: 10 % on a CPU, 5 % on CUDA).
    Raises InputError if they have no variant in common, or were timed on different devices and
    `allow_mixed` is not set; ValueError for a threshold that is not above 0.
    """
    if threshold is not None and not 0 < threshold < math.inf:
        raise ValueError(f"threshold must be above 0, found {threshold}")
    names_a, names_b = (list(dict.fromkeys(frame["variant"])) for frame in (a, b))
    common = [name for name in names_a if name in set(names_b)]
    if not common:
        raise InputError(
            f"the two have no variant in common: A has {_quoted(names_a)}; B has {_quoted(names_b)}"
        )
    timed_a, timed_b = _timings(a), _timings(b)
    devices_a, devices_b = _devices(timed_a), _devices(timed_b)
    found = RunComparison(
        scores=_scores(a, b, common),
        times=_times(timed_a, timed_b, threshold),
        only_a=tuple(name for name in names_a if name not in common),
        only_b=tuple(name for name in names_b if name not in common),
        lost=tuple(_lost(a, b)),
        settings=_settings(a, b, common),
        devices_a=devices_a,
        devices_b=devices_b,
    )
    if found.mixed and not allow_mixed:
        raise InputError(
            f"timed on different devices: A on {_quoted(devices_a)}; B on "
            f"{_quoted(devices_b)}; --allow-mixed compares them all the same"
        )
    return found


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def _scores(a: pd.DataFrame, b: pd.DataFrame, common: Sequence[str]) -> pd.DataFrame:
    columns = [column for column in dict.fromkeys([*a.columns, *b.columns]) if _of_task(column)]
    tasks = [column.removeprefix("test.").removesuffix(".score") for column in columns]
    runs_a, runs_b = finished(a, common), finished(b, common)
    pairs = {name: score_pairs(runs_b[name], runs_a[name], tasks) for name in common}
    found = {name: paired_difference(*pair) for name, pair in pairs.items()}
    tests = {name: d for name, d in found.items() if d.n >= 2}
    adjusted = dict(zip(tests, holm([d.p for d in tests.values()]), strict=True))
    rows = []
    for name, difference in found.items():
        p_holm = adjusted.get(name)
        rows.append(
            {
                "variant": name,
                "n_pairs": difference.n,
                **_means(pairs[name]),
                "difference": difference.mean,
                "difference_lo": difference.lo,
                "difference_hi": difference.hi,
                "p": difference.p,
                "p_holm": math.nan if p_holm is None else float(p_holm),
                "verdict": "" if p_holm is None else score_verdict(difference.mean, p_holm),
            }
        )
    return pd.DataFrame(rows)


def _of_task(column: str) -> bool:
    return column.startswith("test.") and column.endswith(".score") and column != "test.score"


def _means(pair: Pair) -> dict[str, float]:
    b, a = (float(scores.mean()) if scores.size else math.nan for scores in pair)
    return {"score_a": a, "score_b": b}


_TIMES = (
    *("variant", "mode", "batch_size", "a_ms", "b_ms"),
    *("ratio", "ratio_lo", "ratio_hi", "reference", "reference_lo", "reference_hi"),
    *("threshold", "verdict", "why", "rounds"),
)


def _times(a: Mapping[Key, Row], b: Mapping[Key, Row], threshold: float | None) -> pd.DataFrame:
    rows = []
    for key, row in a.items():
        if key in b:
            bound = threshold or max(_threshold(row), _threshold(b[key]))
            told = asdict(_time(row, b[key], bound))
            rows.append(dict(zip(_TIMES[:3], key, strict=True)) | told | {"threshold": bound})
    return pd.DataFrame(rows, columns=list(_TIMES))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Time:
    a_ms: float
    b_ms: float
    ratio: float
    ratio_lo: float
    ratio_hi: float
    reference: float
    reference_lo: float
    reference_hi: float
    verdict: str
    why: str
    rounds: float


def _time(row_a: Row, row_b: Row, threshold: float) -> _Time:
    """One timing in both runs; times of a run are those of its blocks' machine at that moment."""
    a, b = (_typical(row, "step") for row in (row_a, row_b))
    fixed_a, fixed_b = (_typical(row, "reference") for row in (row_a, row_b))
    ratio, reference = unpaired_ratio(b, a), unpaired_ratio(fixed_b, fixed_a)
    verdict: str = judge(ratio, threshold)
    why, rounds = "", None
    if moved := _moved(fixed_a, fixed_b, reference, threshold):
        verdict, why = "unclear", moved
    elif verdict == "unclear":
        rounds = rounds_to_decide(b, a, threshold)
        why = _undecided(ratio, a, b, rounds)
    return _Time(
        a_ms=a.ms,
        b_ms=b.ms,
        ratio=ratio.estimate,
        ratio_lo=ratio.lo,
        ratio_hi=ratio.hi,
        reference=reference.estimate,
        reference_lo=reference.lo,
        reference_hi=reference.hi,
        verdict=verdict,
        why=why,
        rounds=math.nan if rounds is None else rounds,
    )


def _moved(a: Typical, b: Typical, reference: Ratio, threshold: float) -> str:
    """Why the machine cannot be taken for the same in both; empty where it can."""
    absent = [name for name, fixed in (("A", a), ("B", b)) if math.isnan(fixed.ms)]
    if absent:
        return f"no reference arm in {' and '.join(absent)}"
    if not 1 / (1 + threshold) <= reference.estimate <= 1 + threshold:
        return f"the reference arm moved, {reference.estimate:.2f} times"
    return ""


def _undecided(ratio: Ratio, a: Typical, b: Typical, rounds: int | None) -> str:
    if math.isnan(ratio.lo):
        return "too few rounds for an interval"
    had = f"{a.rounds} and {b.rounds} were run"
    if rounds is None:
        return f"at the threshold: no number of rounds up to 1000 would decide ({had})"
    return f"about {rounds} rounds each would decide ({had})"


def _typical(row: Row, name: str) -> Typical:
    values = (row.get(f"time.{name}{end}") for end in ("_ms", "_lo_ms", "_hi_ms"))
    rounds = row.get("time.rounds")
    return Typical.of(*(math.nan if x is None else float(x) for x in (*values, rounds)))


def _threshold(row: Row) -> float:
    # The name of a CPU, unlike that of a GPU, ends in the number of its cores.
    return BETWEEN_RUNS["cpu" if str(row["time.device_name"]).endswith("cores)") else "cuda"]


def _timings(frame: pd.DataFrame) -> dict[Key, Row]:
    """The newest finished timing of each variant, mode and batch size."""
    rows = _rows(frame[(frame["kind"] == "time") & (frame["status"] == "ok")])
    return {(row["variant"], row["time.mode"], int(row["time.batch_size"])): row for row in rows}


def _rows(frame: pd.DataFrame) -> list[Row]:
    """The rows without what takes long to copy and is not asked for."""
    narrow = frame.loc[:, ~frame.columns.str.startswith(("config.", "test.", "val."))]
    return [{str(key): value for key, value in row.items()} for row in narrow.to_dict("records")]


def _devices(timed: Mapping[Key, Row]) -> tuple[str, ...]:
    return tuple(sorted({str(row["time.device_name"]) for row in timed.values()}))


def _lost(a: pd.DataFrame, b: pd.DataFrame) -> Iterator[str]:
    """What finished in A and has failed in B; what B has not run is not lost."""
    before = {key for key, row in _units(a) if row["status"] == "ok"}
    for key, row in _units(b):
        if key in before and row["status"] not in ("ok", "missing", "skipped"):
            variant, *rest = key
            what = " ".join(map(str, rest))
            yield f"{variant}, {what}: {row['status']}: {row['reason']}"


def _units(frame: pd.DataFrame) -> Iterator[tuple[tuple[Any, ...], Row]]:
    for row in _rows(frame):
        if row["kind"] == "train":
            yield (row["variant"], f"seed {row['seed']:.0f}"), row
        elif isinstance(row.get("time.mode"), str):
            size = f"{row['time.batch_size']:.0f}"
            yield (row["variant"], row["time.mode"], f"at batch size {size}"), row


def _settings(a: pd.DataFrame, b: pd.DataFrame, common: Sequence[str]) -> pd.DataFrame:
    """Where variants of one name are not the same thing."""
    first_a, first_b = (frame.drop_duplicates("variant").set_index("variant") for frame in (a, b))
    names = [c for c in dict.fromkeys([*a.columns, *b.columns]) if c.startswith("config.")]
    counts: dict[tuple[str, str, str], int] = {}
    for column in names:
        values_a, values_b = (_column(frame, column, common) for frame in (first_a, first_b))
        for pair in zip(values_a, values_b, strict=True):
            if pair[0] != pair[1]:
                place = (column.removeprefix("config."), *pair)
                counts[place] = counts.get(place, 0) + 1
    rows = [(*place, count) for place, count in counts.items()]
    return pd.DataFrame(rows, columns=["setting", "a", "b", "variants"])


def _column(frame: pd.DataFrame, column: str, variants: Sequence[str]) -> list[str]:
    if column not in frame:
        return [""] * len(variants)
    return ["" if pd.isna(x) else str(x) for x in frame.loc[list(variants), column]]
