"""Numbers of one arm for a table row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.rounds import typical_ms
from bench.statistics import Interval
from bench.timing.samples import ArmSamples, Turn

LAUNCH_BOUND = 1.2
"""From this ratio of wall time to device time on, the host holds the device up."""


def summarise(samples: ArmSamples) -> dict[str, float]:
    """Every phase and the step, what surrounded them, `n` and `samples_per_s`.

    For each phase and for `step` (the sum of the phases of each sample): `<name>_ms` is the
    geometric mean of the rounds' medians; `<name>_lo_ms` and `<name>_hi_ms` its 95 % interval over
    the rounds (see `over_rounds`); `<name>_min_ms` the minimum, `<name>_iqr_share` the
    interquartile range as a share of the median of all samples, `<name>_outliers_mild` and
    `<name>_outliers_severe` how many values lie more than 1.5 and more than 3 interquartile ranges
    outside the quartiles (Tukey, 1977; a severe one is not counted as mild; none is dropped).

    `wall_ms` is the median over rounds of wall time per step, `device_ms` that of the device's own
    work and `launch_bound` whether the first is more than 1.2 times the second (both only where
    host and device are two); `first_ms` the first step of the first round; `graph_breaks` and
    `cudagraph_skips` those of compiled code; `rounds` their number; `unstable_share` the share of
    rounds whose warm-up ended by its budget; `flagged_share` that of rounds in which the sensor
    found something. Throughput is that of the chunks' wall time. An arm without samples has only
    `n`.
    """
    n = samples.phase_ms.shape[0]
    if n == 0:
        return {"n": 0}
    row: dict[str, float] = {}
    columns: Mapping[str, NDArray[np.float64]] = {
        **{name: samples.phase_ms[:, i] for i, name in enumerate(samples.phases)},
        "step": samples.step_ms,
    }
    for name, values in columns.items():
        row |= _described(name, values, samples.by_round(values))
    wall_s = sum(turn.wall_ms for turn in samples.turns) / 1e3
    row |= _of_turns(samples.turns)
    return {**row, "n": n, "samples_per_s": n * samples.samples / wall_s}


def over_rounds(rounds: Sequence[NDArray[np.float64]]) -> Interval:
    """The geometric mean of the rounds' medians with its 95 % interval.

    Samples within a round are alike (one process state, one moment), so that only rounds count; and
    the ratio of two arms is the mean of their ratios within the rounds. The bounds are NaN below
    two rounds; where a median is 0, the estimate is the median of all values, without bounds.
    """
    medians = [float(np.median(values)) for values in rounds]
    if min(medians) <= 0:
        return Interval(float(np.median(np.concatenate(rounds))), math.nan, math.nan)
    return typical_ms(dict(enumerate(medians)))


def _described(
    name: str, values: NDArray[np.float64], rounds: Sequence[NDArray[np.float64]]
) -> dict[str, float]:
    typical, lo, hi = over_rounds(rounds)
    q1, median, q3 = (float(q) for q in np.quantile(values, [0.25, 0.5, 0.75]))
    iqr = q3 - q1
    beyond = np.maximum(q1 - values, values - q3)
    severe = int((beyond > 3 * iqr).sum())
    return {
        f"{name}_ms": typical,
        f"{name}_lo_ms": lo,
        f"{name}_hi_ms": hi,
        f"{name}_min_ms": float(values.min()),
        f"{name}_iqr_share": iqr / median if median > 0 else math.nan,
        f"{name}_outliers_mild": int((beyond > 1.5 * iqr).sum()) - severe,
        f"{name}_outliers_severe": severe,
    }


def _of_turns(turns: Sequence[Turn]) -> dict[str, float]:
    wall_ms = float(np.median([turn.wall_ms / turn.steps for turn in turns]))
    device_ms = float(np.median([turn.device_ms for turn in turns]))
    row: dict[str, float] = {"wall_ms": wall_ms}
    if not math.isnan(device_ms):
        row |= {"device_ms": device_ms, "launch_bound": wall_ms > LAUNCH_BOUND * device_ms}
    unstable = sum(turn.warmup_reason == "budget" for turn in turns)
    return row | {
        "first_ms": turns[0].first_ms,
        "graph_breaks": turns[0].graph_breaks,
        "cudagraph_skips": turns[0].cudagraph_skips,
        "rounds": len(turns),
        "unstable_share": unstable / len(turns),
        "flagged_share": sum(bool(turn.flags) for turn in turns) / len(turns),
    }
