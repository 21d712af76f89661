"""One training step with every weighting, against equal weights and TorchJD, arms interleaved.

    python tests/benchmarks/bench_weightings.py [ROUNDS [METHOD...]]

The LeNet of the MultiMNIST protocol (28×28, batch 256), two and eight tasks, one CPU thread.
TorchJD runs the same model, with all rows in one batched pass and row by row; its better time
counts.
Prints ratios of paired rounds with 95 % intervals, and time and memory of stored and lean gradients
of a network with ten million parameters.
"""

from __future__ import annotations

import gc
import importlib
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import mtmm
from bench.rounds import Medians, Ratio, paired_ratio, typical_ms
from bench.timing.memory import peak_memory_mib
from mtmm.spec import SharedSpace
from mtmm.weighting import WEIGHTINGS, build

BATCH, CLASSES, RATE = 256, 10, 1e-3
CPU = torch.device("cpu")
PEERS: Mapping[str, tuple[str, tuple[Any, ...]]] = {
    "aligned": ("AlignedMTL", ()),
    "cagrad": ("CAGrad", (0.5,)),
    "config": ("ConFIG", ()),
    "dualproj": ("DualProj", ()),
    "fairgrad": ("FairGrad", (1.0,)),
    "graddrop": ("GradDrop", ()),
    "gradvac": ("GradVac", ()),
    "imtl_g": ("IMTLG", ()),
    "mgda": ("MGDA", ()),
    "nash": ("NashMTL", ("T",)),
    "pcgrad": ("PCGrad", ()),
    "upgrad": ("UPGrad", ()),
}
"""Of our methods, those that TorchJD has: its aggregator and the arguments that make it ours."""

Step = Callable[[], object]


class LeNet(nn.Module):
    """The shared layers and heads of the MultiMNIST protocol, without dropout."""

    def __init__(self, tasks: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            *(nn.Conv2d(1, 10, 5), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Conv2d(10, 20, 5), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(320, 50), nn.ReLU()),
        )
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(50, 50), nn.ReLU(), nn.Linear(50, CLASSES))
            for _ in range(tasks)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The shared representation and the logits of every task."""
        z = self.trunk(x)
        return z, [head(z) for head in self.heads]


class Problem:
    """A model with its optimizer and one batch; alike for every arm."""

    def __init__(self, tasks: int) -> None:
        torch.manual_seed(0)
        self.model = LeNet(tasks).to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=RATE)
        x = torch.rand(BATCH, 1, 28, 28)
        self.x = x.to(memory_format=torch.channels_last)
        # Learnable, and at odds: a task's label is a band of the image's brightness.
        order = torch.argsort(torch.rand(tasks, CLASSES))
        band = (x.mean((1, 2, 3)).argsort().argsort() * CLASSES // BATCH).clamp(max=CLASSES - 1)
        self.targets = [order[task][band] for task in range(tasks)]

    def forward(self) -> tuple[Tensor, list[Tensor]]:
        """The representation and the losses."""
        self.optimizer.zero_grad(set_to_none=True)
        return self.losses()

    def losses(self) -> tuple[Tensor, list[Tensor]]:
        """The same without a new step."""
        z, outputs = self.model(self.x)
        pairs = zip(outputs, self.targets, strict=True)
        return z, [F.cross_entropy(output, target) for output, target in pairs]


def ours(name: str, tasks: int, **settings: Any) -> Step:
    """A step with one of our methods."""
    problem = Problem(tasks)
    weighting = build(name, num_tasks=tasks, generator=torch.Generator(), **settings)
    if weighting.parameters():
        group = {"params": weighting.parameters(), "lr": weighting.learning_rate}
        problem.optimizer.add_param_group(group)
    theta = tuple(problem.model.trunk.parameters())

    def step() -> None:
        z, losses = problem.forward()
        last = problem.model.trunk[7]
        mtmm.backward(losses, weighting, SharedSpace(theta={"trunk": theta}, z=(z,), last=last))
        problem.optimizer.step()
        if weighting.method.looks_back:
            with torch.no_grad():
                weighting.after_step(torch.stack(problem.losses()[1]))

    return step


def plain(tasks: int) -> Step:
    """A step on the sum of the losses, as anyone writes it."""
    problem = Problem(tasks)

    def step() -> None:
        _, losses = problem.forward()
        torch.stack(losses).sum().backward()
        problem.optimizer.step()

    return step


def theirs(name: str, tasks: int, rows_at_once: int | None) -> Step:
    """A step with TorchJD's."""
    autojac = importlib.import_module("torchjd.autojac")
    aggregation = importlib.import_module("torchjd.aggregation")
    class_name, arguments = PEERS[name]
    given = [tasks if argument == "T" else argument for argument in arguments]
    problem, aggregator = Problem(tasks), getattr(aggregation, class_name)(*given)
    shared = list(problem.model.trunk.parameters())
    own = [list(head.parameters()) for head in problem.model.heads]

    def step() -> None:
        z, losses = problem.forward()
        autojac.mtl_backward(
            losses,
            features=z,
            tasks_params=own,
            shared_params=shared,
            parallel_chunk_size=rows_at_once,
        )
        autojac.jac_to_grad(shared, aggregator)
        problem.optimizer.step()

    return step


def interleaved(arms: Mapping[str, Step], rounds: int, steps: int = 5) -> dict[str, Medians]:
    """The mean step, in ms, of each arm in each round; arms take turns, the order rotates.

    A mean, so that the cheap steps between two dear ones do not hide these.
    """
    medians: dict[str, dict[int, float]] = {name: {} for name in arms}
    names = list(arms)
    for step in arms.values():
        for _ in range(steps):
            step()
    gc.freeze()
    for i in range(rounds):
        first = i % len(names)
        for name in names[first:] + names[:first]:
            started = time.perf_counter()
            for _ in range(steps):
                arms[name]()
            medians[name][i] = 1e3 * (time.perf_counter() - started) / steps
    return dict(medians)


def compare_steps(tasks: int, names: list[str], rounds: int, console: Console) -> bool:
    """Print every method's step against equal weights and against TorchJD's better way."""
    table = Table("method", "ms", "ours / plain step", "ours / TorchJD", "TorchJD / plain step")
    holds = True
    for name in names:
        arms: dict[str, Step] = {"plain": plain(tasks), "ours": ours(name, tasks)}
        if name in PEERS:
            arms |= {"batched": theirs(name, tasks, None), "rows": theirs(name, tasks, 1)}
        found = interleaved(arms, rounds)
        row = [name, f"{typical_ms(found['ours']).estimate:.1f}"]
        row.append(_told(paired_ratio(found["ours"], found["plain"])))
        if name in PEERS:
            best = min(("batched", "rows"), key=lambda way: typical_ms(found[way]).estimate)
            ratio = paired_ratio(found["ours"], found[best])
            holds &= ratio.hi <= 1.03
            peer = f"{_told(paired_ratio(found[best], found['plain']))} ({best})"
            row += [_told(ratio), peer]
        table.add_row(*row)
    console.print(f"{tasks} tasks, n = {rounds} rounds of 5 steps")
    console.print(table)
    return holds


def compare_settings(rounds: int, console: Console) -> bool:
    """Print what the cheaper settings cost at eight tasks: `z`, and weights in one of ten steps."""
    settings: dict[str, dict[str, Any]] = {
        "space: z": {"space": "z"},
        "space: last": {"space": "last"},
        "every: 10": {"every": 10},
        "gradients: lean": {"gradients": "lean"},
    }
    arms = {"plain": plain(8)} | {key: ours("upgrad", 8, **s) for key, s in settings.items()}
    found = interleaved(arms, rounds, steps=10)
    table = Table("upgrad, 8 tasks", "ours / plain step")
    ratios = {key: paired_ratio(found[key], found["plain"]) for key in settings}
    for key, ratio in ratios.items():
        table.add_row(key, _told(ratio))
    console.print(table)
    return all(ratios[key].estimate <= 1.6 for key in ("space: z", "every: 10"))


def compare_memory(console: Console) -> bool:
    """Print time and peak memory of stored and lean gradients: ten million parameters, 8 tasks."""
    torch.manual_seed(0)
    width, tasks = 1826, 8
    layers = [m for _ in range(3) for m in (nn.Linear(width, width), nn.ReLU())]
    trunk, x = nn.Sequential(*layers), torch.randn(64, width)
    heads = nn.ModuleList(nn.Linear(width, 1) for _ in range(tasks))
    count = sum(parameter.numel() for parameter in trunk.parameters())
    jacobian_mib = tasks * count * 4 / 2**20
    table = Table(f"{count / 1e6:.1f} M parameters, 8 tasks", "peak MiB", "of the Jacobian", "ms")
    peaks = {}
    for kept in ("stored", "lean"):
        weighting = build("upgrad", num_tasks=tasks, gradients=kept)

        def step(mark: Callable[[], None], weighting: Any = weighting) -> None:
            mark()
            for parameter in [*trunk.parameters(), *heads.parameters()]:
                parameter.grad = None
            z = trunk(x)
            mtmm.backward([head(z).square().mean() for head in heads], weighting, trunk)
            mark()

        step(lambda: None)
        peaks[kept] = peak_memory_mib(step, ["step"], CPU)["step"]
        times = []
        for _ in range(7):
            started = time.perf_counter()
            step(lambda: None)
            times.append(1e3 * (time.perf_counter() - started))
        share = f"{peaks[kept] / jacobian_mib:.2f}"
        table.add_row(kept, f"{peaks[kept]:.0f}", share, f"{sorted(times)[3]:.0f}")
    console.print(table)
    return peaks["lean"] < 0.5 * jacobian_mib


def main() -> int:
    """Print the tables; the exit code is 1 where a bound is not kept."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    names = sys.argv[2:] or sorted(WEIGHTINGS)
    torch.set_num_threads(1)
    console = Console(width=120)
    kept = [compare_steps(tasks, names, rounds, console) for tasks in (2, 8)]
    kept += [compare_settings(rounds, console), compare_memory(console)]
    return 0 if all(kept) else 1


def _told(ratio: Ratio) -> str:
    return f"{ratio.estimate:.3f} [{ratio.lo:.3f}, {ratio.hi:.3f}]"


if __name__ == "__main__":
    sys.exit(main())
