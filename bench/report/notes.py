"""What the numbers of a comparison cannot show themselves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from bench.compare import ALPHA, POWER, Comparison
from bench.report.columns import one_line
from bench.rounds import WITHIN_BLOCK

FLAGGED = 0.1
"""From this share of doubtful rounds on, the reader is told."""


def notes(comparison: Comparison) -> list[str]:
    """One sentence or two per fact that the numbers cannot show themselves."""
    table, tests = comparison.table, comparison.family
    lines = [
        f"n: seeds that finished ({counted(table['n'])}); 5/6 means that one of six failed, "
        "or has a record that cannot be used, and is left out.",
        "Intervals are 95 % Student t over seeds (± half-width, or [low, high]). They cover "
        "training noise on one split and one test set, not the choice of either.",
        "Score: where the primary metric lies between the constant prediction (0 %) and the ideal "
        "(100 %), mean over tasks. Only the score gets verdicts.",
        f"Difference: score minus that of {one_line(comparison.baseline)}, paired by seed. "
        "Verdict: better or worse where the Holm-adjusted p of the paired t-test is below "
        f"{ALPHA:g}, otherwise not distinguishable, which does not mean equal.",
        f"Holm family: {tests} {'test' if tests == 1 else 'tests'}. " + _power_note(comparison),
    ]
    if (table["difference_lo"].isna() & (table["n_pairs"] >= 2)).any():
        lines.append(
            "[–]: the difference was the same for every seed, which leaves no spread for an "
            "interval or a t-test; p is that of the exact sign flip, 2^(1 − pairs)."
        )
    if table["bootstrap_lo"].notna().any():
        lines.append(
            "p sign flip (exact, unadjusted) and the 95 % BCa bootstrap of the difference stand "
            "beside the t-test for comparison; verdicts do not use them."
        )
    if table["delta_m_per_task"].notna().any():
        lines.append(
            "Δm per task (Maninis et al., 2019): gain over single-task learning of the same seed, "
            "mean over the metrics of a task, then over tasks; positive = better."
        )
        lines.append(
            "Δm flat (CAGrad, Nash-MTL, FAMO): drop below single-task learning of the same seed, "
            "mean over all metric columns; positive = WORSE."
        )
    if comparison.batch_size is not None:
        lines.append(
            f"Times: typical of the timing rounds, at batch size {comparison.batch_size}; forward, "
            "backward and step (all phases together) in training. Step ratio: to the baseline in "
            "the same timing block, paired by round; compare times by it, not across blocks."
        )
    if table["step_ratio_lo"].notna().any():
        lines.append(
            "Intervals of step ratios are 95 % Student t over the rounds of one block: they cover "
            "that block on that machine, not another day. Step verdict: slower or faster where the "
            f"interval excludes 1 and the ratio is more than {100 * WITHIN_BLOCK:g} % off, same "
            "where the whole interval is within that, otherwise unclear."
        )
    return [*lines, *_doubts(comparison)]


def _doubts(comparison: Comparison) -> Iterator[str]:
    """What the machine did while it was timed on."""
    table = comparison.table
    flagged = table["flagged_share"].max()
    if flagged > FLAGGED:
        yield (
            f"The machine was busy with other things, throttled or shared in up to "
            f"{100 * flagged:.0f} % of the rounds that a variant was timed in: intervals are wider "
            "for it, and times may be too long."
        )
    bound = table.loc[table["launch_bound"] == 1, "variant"]
    if len(bound):
        yield (
            f"Launch-bound (wall time more than 1.2 times the device's own): "
            f"{', '.join(map(one_line, bound))}."
        )


def _power_note(comparison: Comparison) -> str:
    if math.isnan(comparison.smallest_detectable):
        return "The smallest difference it could have found cannot be said."
    return (
        f"The smallest true difference it could have found with probability {POWER:g}: "
        f"{100 * comparison.smallest_detectable:.1f} points (median over the family, at level "
        f"{ALPHA:g}/{comparison.family})."
    )


def counted(counts: Iterable[int]) -> str:
    """One number, or the range of several."""
    known = list(counts)
    low, high = min(known), max(known)
    return f"{low}" if low == high else f"{low} to {high}"
