"""Which part of a model takes how much of a step, forward and backward.

A range around the backward pass does not see it on CUDA, where it runs on a thread of its own:
every piece of work is followed to the operator that asked for it, a backward node to the forward
operator that made it, and that to the part around it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bench.profiling.findings import Note, structure_notes, work_notes
from bench.profiling.joining import ACCUMULATE, joined, nodes_around
from bench.profiling.parts import BACKWARD, OTHER, UNATTRIBUTED, Belonging, belongings
from bench.profiling.trace import Trace
from bench.profiling.work import Work, all_work, in_steps, total_us

TOLERANCE = 0.01
"""What rounded times may make the sum of the parts differ from all work."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Attribution:
    """Work by part and direction.

    `table` has a row for each part and direction, the longest first: `part`, `direction` (forward,
    backward, optimizer or other), `us` per step (mean over steps) and `share` of all work in steps.
    Beside the parts of the model there may be `optimizer`, `zero_grad`, `grad_accumulate` and
    `unattributed`, the work that could not be followed to a part. `steps` has the same for each
    step: `step`, `part`, `direction`, `us`, `share` of the step's work.

    `total_us` is the work in a step, mean over steps; on a device the durations of its kernels,
    copies and sets (so that more than a step's length may fit into it), else the time in operators.
    `joined_share` is the share of backward work, without accumulation of gradients, whose forward
    operator is known; None without backward work.
    """

    table: pd.DataFrame
    steps: pd.DataFrame
    total_us: float
    joined_share: float | None
    notes: tuple[Note, ...]

    def us(self, direction: str) -> float:
        """µs of a direction per step."""
        return float(self.table.loc[self.table["direction"] == direction, "us"].sum())

    @property
    def unattributed_share(self) -> float:
        """The share of all work that could not be followed to a part."""
        return float(self.table.loc[self.table["part"] == UNATTRIBUTED, "share"].sum())


def attribute(trace: Trace) -> Attribution:
    """Follow all work in the steps of a trace to parts of the model.

    Parts are named as `bench.profiling.parts` says.

    Raises:
        InputError: if there is no work in the steps.
    """
    made_by, nodes = joined(trace), nodes_around(trace)
    found = belongings(trace, made_by)
    everything = all_work(trace)
    inside = in_steps(trace, everything)
    each = pd.DataFrame(
        [(trace.steps[work.step].number, *_row(found, work.host), work.us) for work in inside],
        columns=["step", "part", "direction", "us"],
    )
    outside = sum(work.us for work in everything if work.step < 0)
    _check(float(each["us"].sum()) + outside, total_us(trace))
    steps = _summed(each, ["step", "part", "direction"])
    steps["share"] = steps["us"] / steps.groupby("step")["us"].transform("sum")
    table = _mean(steps, len(trace.steps))
    return Attribution(
        table=table,
        steps=steps,
        total_us=float(table["us"].sum()),
        joined_share=_joined_share(trace, inside, nodes, made_by),
        notes=(
            *structure_notes(trace, made_by, nodes),
            *work_notes(trace, inside, outside, found, nodes),
        ),
    )


def _row(found: Sequence[Belonging], host: int) -> tuple[str, str]:
    """Part and direction of work that an event of the host, or none, asked for."""
    if host < 0:
        return UNATTRIBUTED, OTHER
    part, direction, *_ = found[host]
    if part is None:
        return UNATTRIBUTED, direction if direction == BACKWARD else OTHER
    return part, direction


def _mean(steps: pd.DataFrame, count: int) -> pd.DataFrame:
    """The mean over all steps; a part that a step does without counts there as 0."""
    table = _summed(steps, ["part", "direction"])
    table["us"] /= count
    table["share"] = table["us"] / table["us"].sum()
    return table.sort_values("us", ascending=False, kind="stable", ignore_index=True)


def _summed(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    return rows.groupby(by, sort=False)[["us"]].sum().reset_index()


def _joined_share(
    trace: Trace, works: Sequence[Work], nodes: Sequence[int], made_by: Mapping[int, int]
) -> float | None:
    known = whole = 0.0
    for work in works:
        node = nodes[work.host] if work.host >= 0 else -1
        if node >= 0 and ACCUMULATE not in trace.events[node].name:
            whole += work.us
            known += work.us if node in made_by else 0.0
    return known / whole if whole else None


def _check(found: float, expected: float) -> None:
    assert abs(found - expected) <= TOLERANCE * expected, (
        f"parts sum to {found:.0f} µs, all work to {expected:.0f} µs"
    )
