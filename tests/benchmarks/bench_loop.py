"""The training loop against a bare PyTorch loop of the same model, arms interleaved.

    python tests/benchmarks/bench_loop.py [ROUNDS]

Prints the ratio of epoch times (ours / bare) per architecture: median over rounds, its
interval, and n. Both loops index resident tensors in the same shuffled order.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from bench.loading import batches
from bench.optimization import build_schedule
from bench.statistics import ratio_of_medians
from bench.training import build_step, threads, train_epoch
from bench.variant import resolve_variant
from mtmm.data import DATASETS
from mtmm.model import build_model
from mtmm.seeding import generator
from mtmm.spec import DataBundle, in_memory

BATCH = 64
RAW: dict[str, Any] = {
    "dataset": {"name": "glyphs", "word_dropout": 0.5, "limit": 2000},
    "tasks": ["script", "category", "slant"],
    "model": {"encoders": {"image": {"name": "lenet", "channels": 8}, "text": "lstm"}},
}


def ours(config: dict[str, Any], bundle: DataBundle) -> Callable[[], None]:
    """One epoch of the harness's loop."""
    step = build_step(config, bundle, seed=0, device=torch.device("cpu"))
    schedule = build_schedule(
        {"name": "constant"}, step.optimizer, epochs=1, steps_per_epoch=len(bundle.train) // BATCH
    )
    order = generator(0, "order")

    def epoch() -> None:
        train_epoch(step, batches(bundle.train, BATCH, order), schedule).tolist()

    return epoch


def bare(config: dict[str, Any], bundle: DataBundle) -> Callable[[], None]:
    """One epoch as one would write it by hand for this model."""
    model = build_model(config["model"], bundle, seed=0).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    order = generator(0, "order")
    train = in_memory(bundle.train)
    inputs, present, targets = train.inputs, train.present, train.targets

    def epoch() -> None:
        total = 0.0
        for index in torch.randperm(len(bundle.train), generator=order).split(BATCH):
            if len(index) < BATCH:
                break
            batch = {name: value[index] for name, value in inputs.items()}
            there = {name: value[index] for name, value in present.items()}
            optimizer.zero_grad()
            outputs = model(batch, there).outputs
            losses = [F.cross_entropy(outputs[task], targets[task][index]) for task in outputs]
            loss = torch.stack(losses).sum()
            loss.backward()
            optimizer.step()
            total += float(loss.detach())

    return epoch


def main() -> None:
    """Time both loops in turn and print the ratio."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    whole = DATASETS["glyphs"](word_dropout=0.5, limit=2000)
    bundle = whole.select(["image", "text"], RAW["tasks"])
    for sharing in ("hard", "separate"):
        config = resolve_variant({**RAW, "model": {**RAW["model"], "sharing": sharing}}, [])
        with threads(1):
            arms = (ours(config, bundle), bare(config, bundle))
            times: tuple[list[float], list[float]] = ([], [])
            for arm in arms:
                arm()  # warm-up
            for i in range(rounds):
                for j in (0, 1) if i % 2 else (1, 0):
                    started = time.perf_counter()
                    arms[j]()
                    times[j].append(time.perf_counter() - started)
        ratio = ratio_of_medians(*times)
        print(
            f"{sharing}: epoch time ours / bare = {ratio.estimate:.3f} "
            f"[{ratio.lo:.3f}, {ratio.hi:.3f}], n = {rounds} each, "
            f"bare {1e3 * min(times[1]):.0f} to {1e3 * max(times[1]):.0f} ms"
        )


if __name__ == "__main__":
    main()
