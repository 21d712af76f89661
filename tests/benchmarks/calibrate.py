"""The timing harness measures itself.

    python tests/benchmarks/calibrate.py [PAIRS]

Prints a table: what is claimed, what was found, whether it holds. Takes about ten minutes; the
machine should have nothing else to do.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch.utils.benchmark import Timer

from bench.environment import device_name
from bench.rounds import (
    WITHIN_BLOCK,
    Medians,
    Ratio,
    judge,
    paired_ratio,
    round_medians,
    typical_ms,
)
from bench.step import unmarked
from bench.timing.block import Arm, run_block
from bench.timing.clock import CpuClock
from bench.timing.sampler import Rules, Workload
from bench.timing.sensors import NoSensor
from bench.timing.workload import TrainingWorkload, first_batch
from bench.variant import resolve_variant
from mtmm.data import DATASETS
from mtmm.registry import settings_in
from mtmm.settings import Problem

CPU = torch.device("cpu")
PLANTED = 0.10
# Many short rounds find more than few long ones where a machine's speed changes by the second. Any
# interval will do: a block has sixteen, no more and no less.
RULES = Rules(
    warmup_min_ms=30.0,
    chunk_ms=60.0,
    chunk_min_steps=3,
    precision=1e9,
    budget_ms=1e9,
    min_rounds=16,
)
SUITE: dict[str, Any] = {
    "dataset": {"name": "glyphs", "word_dropout": 0.5, "limit": 500},
    "tasks": ["script", "category", "slant"],
    "model": {"encoders": {"image": {"name": "lenet", "channels": 8}, "text": "lstm"}},
}


Workloads = Callable[[], Workload]
"""Makes a workload anew for every round."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table."""

    claim: str
    found: str
    holds: bool


class Plain:
    """The steps of a workload as one phase: two marks instead of five."""

    phases = ("step",)

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self.samples = workload.samples

    def step(self, mark: Callable[[], None]) -> None:
        """See `Workload.step`."""
        mark()
        self._workload.step(unmarked)
        mark()


class Slowed:
    """The steps of a workload, each made longer by a share of its own time."""

    def __init__(self, workload: Workload, share: float) -> None:
        self._workload, self._share = workload, share
        self.phases = ("step",)
        self.samples = workload.samples

    def step(self, mark: Callable[[], None]) -> None:
        """See `Workload.step`."""
        mark()
        started_ns = time.perf_counter_ns()
        self._workload.step(unmarked)
        now_ns = time.perf_counter_ns()
        end_ns = now_ns + self._share * (now_ns - started_ns)
        while time.perf_counter_ns() < end_ns:
            pass
        mark()


class Empty:
    """Nothing but the five marks of a step."""

    phases = ("a", "b", "c", "d")
    samples = 1

    def step(self, mark: Callable[[], None]) -> None:
        """See `Workload.step`."""
        for _ in range(5):
            mark()


def rounds_of(*arms: Workloads, rounds: int = RULES.min_rounds) -> list[Medians]:
    """Rounds of the arms against each other: the median step of each."""
    made = [Arm(str(i), build) for i, build in enumerate(arms)]
    rules = replace(RULES, min_rounds=rounds)
    measured = run_block(made, clock=CpuClock(), rules=rules, device=CPU, sensor=NoSensor())
    for samples in measured:
        if samples.status != "ok":
            raise SystemExit(f"an arm failed: {samples.reason}")
    return [round_medians(samples.to_dict()) for samples in measured]


def phases_against_plain(build: Workloads) -> Finding:
    """Five marks a step against two."""
    phases, plain = rounds_of(build, lambda: Plain(build()), rounds=64)
    ratio = paired_ratio(phases, plain)
    return Finding(
        "the phases of a step against the plain step: within 3 %",
        _told(ratio),
        abs(ratio.estimate - 1) < 0.03,
    )


def against_torch(build: Workloads) -> Finding:
    """Our typical step against `torch.utils.benchmark`, taking turns with it."""
    ours: dict[int, float] = {}
    theirs: dict[int, float] = {}

    def measure_ours(i: int) -> None:
        (medians,) = rounds_of(lambda: Plain(build()))
        ours[i] = typical_ms(medians).estimate

    def measure_theirs(i: int) -> None:
        workload = build()
        timer = Timer("step(mark)", globals={"step": workload.step, "mark": unmarked})
        timer.timeit(10)
        theirs[i] = 1e3 * timer.blocked_autorange(min_run_time=1.0).median

    turns = (measure_ours, measure_theirs)
    for i in range(16):
        for turn in turns if i % 2 == 0 else reversed(turns):
            turn(i)
    ratio = paired_ratio(ours, theirs)
    return Finding(
        "medians against torch.utils.benchmark, interleaved: within 5 %",
        _told(ratio),
        abs(ratio.estimate - 1) < 0.05,
    )


def pairs(build: Workloads, count: int) -> list[Finding]:
    """Identical arms, and one with a planted slowdown, in blocks of their own."""
    different = found = 0
    deviations = []
    for _ in track(range(count), "pairs", console=Console(stderr=True)):
        first, second, slow = rounds_of(
            lambda: Plain(build()), lambda: Plain(build()), lambda: Slowed(build(), PLANTED)
        )
        same = paired_ratio(second, first)
        deviations.append(abs(same.estimate - 1))
        different += judge(same, WITHIN_BLOCK) in ("faster", "slower")
        found += judge(paired_ratio(slow, first), WITHIN_BLOCK) == "slower"
    typical = f"median deviation {100 * float(np.median(deviations)):.2f} %"
    return [
        Finding(
            f"{count} pairs of identical arms: at most 5 % called different",
            f"{different} of {count} ({typical})",
            different <= 0.05 * count,
        ),
        Finding(
            f"a planted slowdown of {100 * PLANTED:.0f} %: at least 90 % found",
            f"{found} of {count}",
            found >= 0.9 * count,
        ),
    ]


def overhead(build: Workloads) -> Finding:
    """What the five marks of a step cost by themselves."""
    (empty,) = rounds_of(Empty)
    (step,) = rounds_of(lambda: Plain(build()))
    marks_us = 1e3 * typical_ms(empty).estimate
    share = marks_us / (1e3 * typical_ms(step).estimate)
    return Finding(
        "five marks against the step: below 0.1 %",
        f"{marks_us:.2f} µs, {100 * share:.3f} %",
        share < 0.001,
    )


def main() -> int:
    """Print the table; the exit code is 1 where a claim does not hold."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    torch.set_num_threads(1)
    build = training_steps()
    gc.freeze()  # as in a block's process: what is there by now need not be gone through again
    started_s = time.perf_counter()
    findings = [
        phases_against_plain(build),
        against_torch(build),
        *pairs(build, count),
        overhead(build),
    ]
    table = Table("claim", "found", "holds", title=f"{device_name(CPU)}, torch {torch.__version__}")
    for finding in findings:
        table.add_row(finding.claim, finding.found, "yes" if finding.holds else "NO")
    console = Console()
    console.print(table)
    console.print(f"{time.perf_counter() - started_s:.0f} s")
    return 0 if all(finding.holds for finding in findings) else 1


def training_steps() -> Workloads:
    """Makes the training step of a small model on glyphs, again and again."""
    problems: list[Problem] = []
    config = resolve_variant(SUITE, problems)
    assert not problems
    whole = DATASETS["glyphs"](**settings_in(SUITE["dataset"]))
    bundle = whole.select(["image", "text"], SUITE["tasks"])
    batch = first_batch(bundle, 64)
    return lambda: TrainingWorkload(config, bundle, batch)


def _told(ratio: Ratio) -> str:
    return f"ratio {ratio.estimate:.4f} [{ratio.lo:.4f}, {ratio.hi:.4f}]"


if __name__ == "__main__":
    sys.exit(main())
