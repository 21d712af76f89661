"""Every registered fusion, weighting and sharing: its forward pass and its step.

    make microbench                 # runs this, and compares with the run saved before
    MTMM_DEVICE=cuda make microbench

pytest-benchmark runs it with a timer of ours, which waits for the device. Parameters, FLOPs and
peak memory are in the `extra_info` of the saved files (`.benchmarks/`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from bench.environment import device_name, pick_device
from bench.timing.clock import seconds_on
from bench.timing.flops import count_flops
from bench.timing.memory import peak_memory_mib
from bench.timing.workload import WORKLOADS, first_batch
from bench.variant import resolve_variant
from mtmm.data import DATASETS
from mtmm.fusion import FUSIONS
from mtmm.registry import settings_in
from mtmm.settings import Problem
from mtmm.sharing import SHARINGS
from mtmm.spec import DataBundle
from mtmm.weighting import WEIGHTINGS

DEVICE = pick_device(os.environ.get("MTMM_DEVICE", "cpu"))
BATCH, WIDTH, TASKS = 128, 64, 3
SHARED = 100_000  # parameters that tasks share, where a weighting takes their gradients
SUITE: dict[str, Any] = {
    "dataset": {"name": "glyphs", "word_dropout": 0.5, "limit": 500},
    "tasks": ["script", "category", "slant"],
    "model": {"encoders": {"image": {"name": "lenet", "channels": 8}, "text": "lstm"}},
}

pytestmark = pytest.mark.benchmark(timer=seconds_on(DEVICE), warmup=False)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def bundle() -> DataBundle:
    whole = DATASETS["glyphs"](**settings_in(SUITE["dataset"])).to(DEVICE)
    return whole.select(["image", "text"], SUITE["tasks"])


def measure(benchmark: BenchmarkFixture, fn: Callable[[], object], params: int) -> None:
    """Time `fn` and note what it costs besides."""

    def marked(mark: Callable[[], None]) -> None:
        mark()
        fn()
        mark()

    fn()  # makes what stays: gradients, the optimizer's state
    benchmark.extra_info |= {
        "device": device_name(DEVICE),
        "torch": torch.__version__,
        "params": params,
        "flops": count_flops(fn),
        "peak_mib": round(peak_memory_mib(marked, ["all"], DEVICE)["all"], 3),
    }
    benchmark.pedantic(fn, rounds=50, warmup_rounds=10, iterations=1)


@pytest.mark.parametrize("way", ["forward", "step"])
@pytest.mark.parametrize("name", FUSIONS)
def test_fusion(benchmark: BenchmarkFixture, name: str, way: str) -> None:
    modalities = ["image"] if name == "none" else ["image", "text"]
    torch.manual_seed(0)
    fusion = FUSIONS[name](dims=dict.fromkeys(modalities, WIDTH), out_dim=WIDTH).to(DEVICE)
    features = {m: torch.randn(BATCH, WIDTH, device=DEVICE) for m in modalities}
    for feature in features.values():
        feature.requires_grad_(way == "step")

    def forward() -> None:
        with torch.inference_mode():
            fusion(features)

    moved = [*fusion.parameters(), *features.values()]

    def step() -> None:
        # Not into `.grad`: adding to what is there would be timed too.
        torch.autograd.grad(fusion(features).sum(), moved)

    params = sum(parameter.numel() for parameter in fusion.parameters())
    measure(benchmark, forward if way == "forward" else step, params)


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_weighting(benchmark: BenchmarkFixture, name: str) -> None:
    weighting: Any = WEIGHTINGS[name]()  # the kinds of `step` differ
    generator = torch.Generator(DEVICE).manual_seed(0)
    losses = torch.rand(TASKS, device=DEVICE, generator=generator) + 0.5
    rows = torch.randn(TASKS, SHARED, device=DEVICE, generator=generator)
    given = {"losses": (), "gramian": (rows @ rows.mT,), "jacobian": (rows,)}[weighting.needs]
    size = SHARED if weighting.needs == "jacobian" else TASKS
    state = weighting.init(TASKS, num_params=SHARED, device=DEVICE, dtype=torch.float32)

    def step() -> None:
        _, after = weighting.step(weighting.draw(state, size, generator), losses, *given)
        if weighting.learned:
            weighting.parameter_gradients(after, losses, *given)

    measure(benchmark, step, sum(state[learned].numel() for learned in weighting.learned))


@pytest.mark.parametrize("way", ["forward", "step"])
@pytest.mark.parametrize("name", SHARINGS)
def test_sharing(benchmark: BenchmarkFixture, bundle: DataBundle, name: str, way: str) -> None:
    problems: list[Problem] = []
    raw = {**SUITE, "model": {**SUITE["model"], "sharing": name, "width": WIDTH}}
    config = resolve_variant(raw, problems)
    assert not problems
    mode = "train" if way == "step" else "inference"
    workload = WORKLOADS[mode](config, bundle, first_batch(bundle, BATCH))
    params = sum(parameter.numel() for parameter in workload.model.parameters())
    measure(benchmark, lambda: workload.step(lambda: None), params)
