"""Two processes with half a batch each move as one with the whole batch, by the shown functions."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn
from torch.utils.data import default_collate

import mtmm
from mtmm.weighting import WEIGHTINGS, build
from mtmm.weighting.stateful import StatefulWeighting

LOOPS = Path(__file__).resolve().parent.parent / "docs" / "examples" / "loops"
STEPS = 3

Backward = Callable[[Any, StatefulWeighting], object]
"""What puts gradients into `.grad`, given a batch."""


def example(name: str) -> Any:
    sys.path.insert(0, str(LOOPS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(LOOPS))


def weighting_of(method: str) -> StatefulWeighting:
    settings: dict[str, Any] = {} if WEIGHTINGS[method].needs == "losses" else {"space": "theta"}
    generator = torch.Generator().manual_seed(7)
    return build(method, num_tasks=2, dtype=torch.float64, generator=generator, **settings)


def batches(part: slice) -> list[Any]:
    """The part of each of some batches of 32."""
    train = example("two_tasks").TRAIN
    made = [default_collate(train[32 * i : 32 * (i + 1)][part]) for i in range(STEPS)]
    return [{**batch, "image": batch["image"].double()} for batch in made]


def net_of(seed: int) -> Any:
    torch.manual_seed(seed)
    return example("two_tasks").Net().double()


def gradients(net: nn.Module, method: str, part: slice, backward: Backward) -> Tensor:
    """The gradients `[STEPS, P]` of some steps, those of learned weights included."""
    weighting = weighting_of(method)
    moved = [*net.parameters(), *weighting.parameters()]
    optimizer = torch.optim.SGD(moved, lr=0.1)
    found = []
    for batch in batches(part):
        optimizer.zero_grad()
        backward(batch, weighting)
        found.append(torch.cat([p.grad.flatten() for p in moved if p.grad is not None]))
        optimizer.step()
    return torch.stack(found)


def by_the_example(method: str, rank: int) -> Tensor:
    ddp = example("ddp")
    net = net_of(rank)  # DistributedDataParallel makes them alike
    model = ddp.distributed(net)
    return gradients(net, method, slice(rank, None, 2), lambda *given: ddp.backward(model, *given))


def averaged_afterwards(method: str, rank: int) -> Tensor:
    """What one is tempted to do: each process finds its own weights."""
    net = net_of(0)

    def backward(batch: Any, weighting: StatefulWeighting) -> None:
        mtmm.backward(net(**batch), weighting, net.trunk)
        for parameter in net.parameters():
            parameter.grad = example("ddp").mean(parameter.grad)

    return gradients(net, method, slice(rank, None, 2), backward)


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    found = {method: by_the_example(method, rank) for method in WEIGHTINGS}
    found["mgda, averaged afterwards"] = averaged_afterwards("mgda", rank)
    for again in ("trained", "trained again"):
        net = example("ddp").train("pcgrad", 0)
        found[again] = nn.utils.parameters_to_vector(net.parameters()).detach()
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Tensor]]:
    """What each process has found."""
    folder = tmp_path_factory.mktemp("ddp")
    spawn(work, (str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


def whole(method: str) -> Tensor:
    """The gradients of one process with whole batches."""
    net = net_of(0)
    return gradients(
        net,
        method,
        slice(None),
        lambda batch, weighting: mtmm.backward(net(**batch), weighting, net.trunk),
    )


@pytest.mark.parametrize("method", sorted(WEIGHTINGS))
def test_two_processes_are_as_one(method: str, ranks: list[dict[str, Tensor]]) -> None:
    first, second = (found[method] for found in ranks)
    assert torch.equal(first, second)
    assert first.abs().max() > 1e-3
    torch.testing.assert_close(first, whole(method), rtol=1e-6, atol=1e-9)


def test_weights_found_by_each_process_alone_are_others(ranks: list[dict[str, Tensor]]) -> None:
    first = ranks[0]["mgda, averaged afterwards"]
    assert (first - whole("mgda")).abs().max() > 1e-3


def test_processes_stay_alike_and_a_seed_says_all(ranks: list[dict[str, Tensor]]) -> None:
    first, *others = (found[name] for found in ranks for name in ("trained", "trained again"))
    assert all(torch.equal(first, other) for other in others)
