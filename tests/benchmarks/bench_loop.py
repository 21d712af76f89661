"""The training loop against bare PyTorch loops of the same models, arms interleaved.

    python tests/benchmarks/bench_loop.py [ROUNDS [ROOT]]

Prints the ratio of epoch times (ours / bare) per model, paired by round, its interval, and n.
All loops index resident tensors in the same shuffled order. Two models are `glyphs` with the
library's modules; the third is `multi_fashion` at full size with modules written by hand, on one
core and on two; it needs FashionMNIST's four files, in ROOT if they are not found anyway.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.loading import batches
from bench.optimization import build_schedule
from bench.rounds import paired_ratio
from bench.training import build_step, threads, train_epoch
from bench.variant import resolve_variant
from mtmm.data import DATASETS
from mtmm.model import build_model
from mtmm.registry import settings_in
from mtmm.seeding import generator
from mtmm.settings import Problem
from mtmm.spec import DataBundle, in_memory

Forward = Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], Mapping[str, Tensor]]

GLYPHS: dict[str, Any] = {
    "dataset": {"name": "glyphs", "word_dropout": 0.5, "limit": 2000},
    "tasks": ["script", "category", "slant"],
    "model": {"encoders": {"image": {"name": "lenet", "channels": 8}, "text": "lstm"}},
    "train": {"batch_size": 64},
}
FASHION: dict[str, Any] = {
    "dataset": {"name": "multi_fashion"},
    "model": {
        "encoders": {"image": "multi_lenet"},
        "heads": {"left": "multi_lenet", "right": "multi_lenet"},
        "width": 50,
    },
    "train": {"batch_size": 256, "optimizer": "adam"},
}


class HandWritten(nn.Module):
    """The model of `FASHION` as one would write it for this benchmark alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 10, 5), nn.Conv2d(10, 20, 5)
        self.fc = nn.Linear(320, 50)
        self.hidden = nn.ModuleList(nn.Linear(50, 50) for _ in range(2))
        self.out = nn.ModuleList(nn.Linear(50, 10) for _ in range(2))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Shapes: `[B, 1, 28, 28]` to two times `[B, 10]`."""
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = self.conv2(x)
        if self.training:
            x = x * (torch.rand(1, 20, 1, 1) >= 0.5)
        z = F.relu(self.fc(F.relu(F.max_pool2d(x, 2)).flatten(1)))
        outputs = []
        for hidden, out in zip(self.hidden, self.out, strict=True):
            h = F.relu(hidden(z))
            outputs.append(out(h * (torch.rand_like(h) >= 0.5) if self.training else h))
        return outputs


def ours(config: dict[str, Any], bundle: DataBundle) -> Callable[[], None]:
    """One epoch of the harness's loop."""
    step = build_step(config, bundle, seed=0, device=torch.device("cpu"))
    size = config["train"]["batch_size"]
    steps = len(bundle.train) // size
    schedule = build_schedule({"name": "constant"}, step.optimizer, epochs=1, steps_per_epoch=steps)
    order = generator(0, "order")

    def epoch() -> None:
        train_epoch(step, batches(bundle.train, size, order), schedule).tolist()

    return epoch


def bare(config: dict[str, Any], bundle: DataBundle) -> Callable[[], None]:
    """One epoch as one would write it by hand."""
    if config["dataset"]["name"] == "glyphs":
        model = build_model(config["model"], bundle, seed=0)
        forward: Forward = lambda inputs, present: model(inputs, present).outputs  # noqa: E731
    else:
        model = HandWritten()
        tasks = [task.name for task in bundle.tasks]
        forward = lambda inputs, _: dict(zip(tasks, model(inputs["image"]), strict=True))  # noqa: E731
    model.to(memory_format=torch.channels_last)
    make = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    optimizer = make[config["train"]["optimizer"]["name"]](model.parameters(), lr=1e-3)
    size, order = config["train"]["batch_size"], generator(0, "order")
    train = in_memory(bundle.train)

    def epoch() -> None:
        total = 0.0
        for index in torch.randperm(len(bundle.train), generator=order).split(size):
            if len(index) < size:
                break
            inputs = {name: value[index] for name, value in train.inputs.items()}
            present = {name: value[index] for name, value in train.present.items()}
            optimizer.zero_grad()
            outputs = forward(inputs, present)
            losses = [
                F.cross_entropy(outputs[task], train.targets[task][index]) for task in outputs
            ]
            loss = torch.stack(losses).sum()
            loss.backward()
            optimizer.step()
            total += float(loss.detach())

    return epoch


def compare(name: str, raw: dict[str, Any], rounds: int, cores: int) -> None:
    """Time both loops in turn and print the ratio."""
    problems: list[Problem] = []
    config = resolve_variant(raw, problems)
    if problems:
        print(f"{name}: left out; {problems[0].message}")
        return
    dataset = config["dataset"]
    whole = DATASETS[dataset["name"]](**settings_in(dataset))
    bundle = whole.select(config["modalities"], config["tasks"])
    times: tuple[dict[int, float], dict[int, float]] = ({}, {})
    with threads(cores):
        arms = (ours(config, bundle), bare(config, bundle))
        for arm in arms:
            arm()  # warm-up
        for i in range(rounds):
            for j in (0, 1) if i % 2 else (1, 0):
                started = time.perf_counter()
                arms[j]()
                times[j][i] = time.perf_counter() - started
    ratio = paired_ratio(*times)
    print(
        f"{name}, {cores} cores: epoch time ours / bare = {ratio.estimate:.3f} "
        f"[{ratio.lo:.3f}, {ratio.hi:.3f}], n = {rounds} each, "
        f"bare {1e3 * min(times[1].values()):,.0f} to {1e3 * max(times[1].values()):,.0f} ms",
        flush=True,
    )


def main() -> None:
    """Compare the loops on every model."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    for sharing in ("hard", "separate"):
        model = {**GLYPHS["model"], "sharing": sharing}
        compare(f"glyphs, {sharing}", {**GLYPHS, "model": model}, rounds, 1)
    root = {"root": sys.argv[2]} if len(sys.argv) > 2 else {}
    fashion = {**FASHION, "dataset": {**FASHION["dataset"], **root}}
    for cores in (1, 2):
        compare("multi_fashion", fashion, rounds, cores)


if __name__ == "__main__":
    main()
