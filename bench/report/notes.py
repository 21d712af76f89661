"""What the numbers of a comparison cannot show themselves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from bench.compare import TO_BEST, Comparison
from bench.contrasts import ALPHA, POWER
from bench.lines import one_line
from bench.report.columns import compared_with_single_task
from bench.rounds import WITHIN_BLOCK

MOST_NAMES = 4
"""Names told before the rest is counted."""

FLAGGED = 0.1
"""From this share of doubtful rounds on, the reader is told."""


def notes(comparison: Comparison) -> list[str]:
    """One sentence or two per fact that the numbers cannot show themselves."""
    table = comparison.table
    comparators = " or of ".join(map(one_line, comparison.comparators.values()))
    lines = [
        f"n: seeds that finished ({counted(table['n'])}); 5/6 means that one of six failed, "
        "or has a record that cannot be used, and is left out.",
        "Intervals are 95 % Student t over seeds (± half-width, or [low, high]). They cover "
        "training noise on one split and one test set, not the choice of either.",
        "Score: where the primary metric lies between the constant prediction (0 %) and the ideal "
        "(100 %), mean over tasks. Only the score gets verdicts.",
        f"Difference: score minus that of {comparators}, paired by seed. "
        "Verdict: better or worse where the Holm-adjusted p of the paired t-test is below "
        f"{ALPHA:g}, otherwise not distinguishable, which does not mean equal.",
        *_best(comparison),
        f"{_family(comparison)} {_power_note(comparison)}",
        *_outside(comparison),
    ]
    if any(_constant(table, prefix) for prefix in comparison.comparators):
        lines.append(
            "[–]: the difference was the same for every seed, which leaves no spread for an "
            "interval or a t-test; p is that of the exact sign flip, 2^(1 − pairs)."
        )
    if any(table[f"{prefix}bootstrap_lo"].notna().any() for prefix in comparison.comparators):
        lines.append(
            "p sign flip (exact, unadjusted) and the 95 % BCa bootstrap of the difference stand "
            "beside the t-test for comparison; verdicts do not use them."
        )
    if compared_with_single_task(table).any():
        lines.append(
            "Helps, hurts: the 95 % t interval of a task's gain over single-task learning of the "
            "same seed leaves out zero. No verdicts: of many intervals some do by chance."
        )
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


def _constant(table: pd.DataFrame, prefix: str) -> bool:
    """Whether some difference to a comparator was the same for every seed."""
    return bool((table[f"{prefix}difference_lo"].isna() & (table[f"{prefix}n_pairs"] >= 2)).any())


def _best(comparison: Comparison) -> Iterator[str]:
    """How the second comparator was chosen."""
    best = comparison.best
    if not best.candidates:
        return
    among = f"out of {listed(best.candidates)}"
    if best.variant is None:
        yield f"Nothing is compared with the best {among}: none of them has a score on val yet."
        return
    so = "It is compared on test, with the runs that chose it, which favours it a little."
    if best.variant == comparison.baseline:
        so = "It is the baseline: there is no second comparison."
    yield (
        f"Best on val: {one_line(best.variant)}, {among}: the highest mean score on val "
        f"({100 * best.val_score:.1f} %) over the seeds that finished; of equals the first. {so}"
    )


def _family(comparison: Comparison) -> str:
    """How many tests Holm's correction counts, and of what."""
    table, tests = comparison.table, comparison.family
    told = f"Holm family: {tests} {'test' if tests == 1 else 'tests'}"
    if TO_BEST not in comparison.comparators or not tests:
        return f"{told}."
    baseline, best = map(one_line, comparison.comparators.values())
    tested = [table[f"{prefix}p_holm"].notna() for prefix in comparison.comparators]
    first = int(tested[0].sum())
    pairs = [*table["n_pairs"][tested[0]], *table[f"{TO_BEST}n_pairs"][tested[1]]]
    return (
        f"{told} (n = {counted(pairs)}): {first} against {baseline}, "
        f"{tests - first} against {best}."
    )


def _outside(comparison: Comparison) -> Iterator[str]:
    """Who has intervals and no verdict because nobody asked for one."""
    table = comparison.table
    others = ~table["variant"].isin(comparison.members | {comparison.baseline})
    names = table["variant"][others & (table["n_pairs"] >= 2)]
    if len(names):
        yield f"Outside of the family, with intervals and no verdict: {listed(names)}."


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


def listed(names: Iterable[str]) -> str:
    """Names of variants in one line; of many the first, and how many more."""
    known = list(map(one_line, names))
    shown = known[:MOST_NAMES]
    if len(known) > MOST_NAMES:
        shown.append(f"{len(known) - MOST_NAMES} more")
    return joined(shown)


def joined(words: Sequence[str]) -> str:
    """As in "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def counted(counts: Iterable[int]) -> str:
    """One number, or the range of several."""
    known = list(counts)
    low, high = min(known), max(known)
    return f"{low}" if low == high else f"{low} to {high}"
