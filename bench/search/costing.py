"""What a configuration of a trial costs: timed alone on the machine, as suites are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from rich.console import Console

from bench.cell import TimingArm, TimingBlock, timed_part
from bench.environment import device_name
from bench.execution.run import Run
from bench.execution.timing import Timing
from bench.goals import TIMED
from bench.progress import Progress
from bench.running import failed_before
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
    found: dict[str, float] = {}
    for mode, names in _by_mode(columns).items():
        block = _block(config, mode, device_name(run.options.device), budget_s)
        identity = block.record_id(block.arms[0])
        again = failed_before([identity], run.store) if run.options.retry_failed else {}
        quiet = Progress(Console(stderr=True), quiet=True)
        Timing(replace(run, again=again), quiet, {}).time(block)
        if failure := run.failure(identity):
            raise TimingFailedError(failure)
        record = run.store.read(identity) or {}
        numbers = {**record.get("summary", {}), **record.get("cost", {})}
        found |= {name: float(numbers[name]) for name in names if numbers.get(name) is not None}
    return found


def _by_mode(columns: Iterable[str]) -> dict[str, list[str]]:
    """The timed columns by the mode of timing that has them: other modes have some too."""
    modes: dict[str, list[str]] = {}
    for column in columns:
        if column in TIMED:
            mode = "inference" if column == "inference_ms" else "train"
            modes.setdefault(mode, []).append(column)
    return modes


def _block(config: Mapping[str, Any], mode: str, device: str, budget_s: float) -> TimingBlock:
    """A block of this one arm: costs of trials are compared as they are, not as ratios."""
    prints = (description_of(config).fingerprint,)
    size = config["train"]["batch_size"]
    arms = (TimingArm(timed_part(config)),)
    return TimingBlock(arms, prints, size, mode, budget_s, device)
