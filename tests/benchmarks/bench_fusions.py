"""What every fusion costs against `concat`: parameters, forward and backward time, memory.

    python tests/benchmarks/bench_fusions.py [ROUNDS]

Widths 64, 256 and 512, two and three modalities, batches of 64, tokens 16 a modality, one CPU
thread. The arms of a width take turns; a ratio is that of paired rounds, with its 95 % interval.
What would take more than 4 GiB with its gradients is left out, with the figure.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from bench.rounds import paired_ratio
from bench.timing.memory import peak_memory_mib
from mtmm.fusion import FUSIONS
from mtmm.fusion.base import Fusion

BATCH, TOKENS, CLASSES = 64, 16, 10
WIDTHS = (64, 256, 512)
COUNTS = (2, 3)
MOST_BYTES = 4 * 2**30
CPU = torch.device("cpu")


@dataclass(slots=True)
class Arm:
    """A fusion at one width; times in ms by round."""

    name: str
    fusion: Fusion
    features: dict[str, Tensor]
    parameters: int
    forward_ms: dict[int, float] = field(default_factory=dict)
    backward_ms: dict[int, float] = field(default_factory=dict)
    step_ms: dict[int, float] = field(default_factory=dict)
    peak_mib: float = 0.0

    def step(self, mark: Callable[[], None]) -> None:
        """Forward, backward; gradients of the features too, as encoders need them."""
        mark()
        out = self.fusion(self.features)
        mark()
        out.square().mean().backward()
        mark()
        self.clear()

    def clear(self) -> None:
        """Forget all gradients."""
        for parameter in self.fusion.parameters():
            parameter.grad = None
        for feature in self.features.values():
            feature.grad = None


def make_arm(name: str, count: int, width: int) -> Arm | str | None:
    """The arm; why it is left out; or None where the definition has no such fusion."""
    make = FUSIONS[name]
    names = [f"m{i}" for i in range(count)]
    try:
        make.check(names, {})
    except ValueError:
        return None
    out = CLASSES if make.level == "decision" else width
    dims = dict.fromkeys(names, out)
    parameters = make.parameter_count(dims, out)
    values = make.values_per_sample(dims, out)
    needed = 8 * parameters + 8 * BATCH * values
    if needed > MOST_BYTES:
        return f"{parameters:,} parameters, {needed / 2**30:.1f} GiB"
    torch.manual_seed(0)
    shape = (BATCH, TOKENS, width) if make.level == "token" else (BATCH, out)
    features = {m: torch.randn(shape, requires_grad=True) for m in names}
    return Arm(name, make(dims, out), features, parameters)


def measure(arms: list[Arm], rounds: int) -> None:
    """Time the arms in turns, then the memory of each."""
    random = Random(0)
    for number in range(rounds):
        # Not always behind the same one, whose data fill the caches.
        for arm in random.sample(arms, len(arms)):
            step_ms = sum(_timed(arm))  # warms up
            count = min(max(3, round(20 / step_ms)), 50)
            samples = [_timed(arm) for _ in range(count)]
            middle = [sorted(times)[len(times) // 2] for times in zip(*samples, strict=True)]
            arm.forward_ms[number], arm.backward_ms[number] = middle
            arm.step_ms[number] = sum(middle)
    for arm in arms:
        peaks = peak_memory_mib(arm.step, ("forward", "backward"), CPU)
        arm.peak_mib = max(peaks.values())


def _timed(arm: Arm) -> tuple[float, float]:
    marks: list[float] = []
    arm.step(lambda: marks.append(time.perf_counter()))
    return 1000 * (marks[1] - marks[0]), 1000 * (marks[2] - marks[1])


def _typical(medians: dict[int, float]) -> float:
    ordered = sorted(medians.values())
    return ordered[len(ordered) // 2]


def report(arms: list[Arm], left_out: dict[str, str], title: str, console: Console) -> None:
    """Print one table."""
    table = Table(title=title, title_justify="left")
    for heading in ("fusion", "params", "forward ms", "backward ms", "peak MiB", "to concat"):
        table.add_column(heading, justify="left" if heading == "fusion" else "right")
    concat = next(arm for arm in arms if arm.name == "concat")
    for arm in arms:
        ratio = paired_ratio(arm.step_ms, concat.step_ms)
        table.add_row(
            arm.name,
            f"{arm.parameters:,}",
            f"{_typical(arm.forward_ms):.3f}",
            f"{_typical(arm.backward_ms):.3f}",
            f"{arm.peak_mib:.2f}",
            "1" if arm is concat else f"{ratio.estimate:.2f} [{ratio.lo:.2f}, {ratio.hi:.2f}]",
        )
    for name, why in left_out.items():
        table.add_row(name, why, "–", "–", "–", "–")
    console.print(table)


def main() -> None:
    """Every width and number of modalities."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    torch.set_num_threads(1)
    console = Console(width=110)
    for count in COUNTS:
        for width in WIDTHS:
            made = {name: make_arm(name, count, width) for name in sorted(FUSIONS)}
            arms = [arm for arm in made.values() if isinstance(arm, Arm)]
            measure(arms, rounds)
            left_out = {name: why for name, why in made.items() if isinstance(why, str)}
            title = f"{count} modalities, width {width} (n = {rounds} rounds)"
            report(arms, left_out, title, console)
            del made, arms
            gc.collect()


if __name__ == "__main__":
    main()
