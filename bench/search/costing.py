"""What a configuration of a trial costs: timed alone on the machine, as suites are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console

from bench.cell import TimingArm, TimingBlock, timed_part
from bench.environment import device_name
from bench.execution.run import Run
from bench.execution.timing import Timing
from bench.goals import TIMED
from bench.progress import Progress
from bench.variant import description_of

BUDGET_S = 60.0
"""Seconds that a timing may take where the suite does not say; most end much sooner."""


class TimingFailedError(RuntimeError):
    """A configuration could not be timed; the text says why."""


def costs(
    config: Mapping[str, Any], columns: Iterable[str], run: Run, budget_s: float
) -> dict[str, float]:
    """The timed ones of `columns`, read where another trial costs the same.

    It waits until no other run on this machine works. Raises TimingFailedError.
    """
    wanted = {column for column in columns if column in TIMED}
    found: dict[str, float] = {}
    for mode in _modes(wanted):
        block = _block(config, mode, device_name(run.options.device), budget_s)
        Timing(run, Progress(Console(stderr=True), quiet=True), {}).time(block)
        identity = block.record_id(block.arms[0])
        if failure := run.failure(identity):
            raise TimingFailedError(failure)
        record = run.store.read(identity) or {}
        numbers = {**record.get("summary", {}), **record.get("cost", {})}
        found |= {name: float(numbers[name]) for name in wanted if numbers.get(name) is not None}
    return found


def _modes(wanted: set[str]) -> Iterator[str]:
    if wanted - {"inference_ms"}:
        yield "train"
    if "inference_ms" in wanted:
        yield "inference"


def _block(config: Mapping[str, Any], mode: str, device: str, budget_s: float) -> TimingBlock:
    """A block of this one arm: costs of trials are compared as they are, not as ratios."""
    prints = (description_of(config).fingerprint,)
    size = config["train"]["batch_size"]
    arms = (TimingArm(timed_part(config)),)
    return TimingBlock(arms, prints, size, mode, budget_s, device)
