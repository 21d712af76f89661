"""A timing block: arms that take turns in rounds, so that drift of the machine meets them alike."""

from __future__ import annotations

import gc
import itertools
import logging
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch

from bench.failure import reason_of, status_of
from bench.numerics import drop_compiled
from bench.timing.clock import Chunk, Clock
from bench.timing.phases import distinct
from bench.timing.sampler import Rules, Workload, take_turn
from bench.timing.samples import ArmSamples, ArmStatus, StopReason, Turn
from bench.timing.sensors import Sensor
from bench.timing.summary import over_rounds

MIN_ROUNDS = 2
"""Rounds that are run whatever the budget: one round alone cannot show drift."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arm:
    """One of the things timed together; `build` makes its workload anew in every round.

    A `companion` is timed for the sake of the others: alone it does not keep a block going.
    """

    key: str
    build: Callable[[], Workload]
    companion: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    phases: tuple[str, ...]
    samples: int
    chunk: Chunk
    turn: Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failed:
    status: ArmStatus
    reason: str


def run_block(
    arms: Sequence[Arm], *, clock: Clock, rules: Rules, device: torch.device, sensor: Sensor
) -> list[ArmSamples]:
    """Time arms against each other; the results are in the order of `arms`.

    In each round every arm takes one turn: it is built, warmed up, sampled for one chunk and
    released. Round r starts at arm r mod n. The block ends after the round in which every arm has
    converged or the budget is spent, to which first steps, which may compile, do not count. An arm
    that raises sits out the rounds that follow.

    Raises ValueError if there are no arms or two of one key.
    """
    _check_keys([arm.key for arm in arms])
    measured: dict[str, list[_Measured]] = {arm.key: [] for arm in arms}
    failed: dict[str, _Failed] = {}
    started_ms, first_ms = clock.now_ms(), 0.0
    for round_index in itertools.count():
        for arm in rotated(arms, round_index):
            if arm.key in failed:
                continue
            outcome = _turn(arm, round_index, clock, rules, device, sensor)
            if isinstance(outcome, _Failed):
                failed[arm.key] = outcome
            else:
                measured[arm.key].append(outcome)
                first_ms += outcome.turn.first_ms
        left = [arm for arm in arms if arm.key not in failed]
        if all(arm.companion for arm in left):
            left = []
        standing = [[one.chunk for one in measured[arm.key]] for arm in left]
        elapsed_ms = clock.now_ms() - started_ms - first_ms
        stop = stop_reason(standing, elapsed_ms=elapsed_ms, rules=rules)
        if stop is not None:
            return [_collect(arm.key, measured[arm.key], failed.get(arm.key), stop) for arm in arms]
    raise AssertionError("unreachable: a block ends by its budget")


def rotated(arms: Sequence[Arm], round_index: int) -> list[Arm]:
    """The arms in the order of a round: round r starts at arm r mod n."""
    first = round_index % len(arms)
    return [*arms[first:], *arms[:first]]


def stop_reason(
    standing: Sequence[Sequence[Chunk]], *, elapsed_ms: float, rules: Rules
) -> StopReason | None:
    """Why a block ends after a round, or None if it goes on.

    `standing` holds the chunks so far, one a round, of each arm that has not failed.
    """
    if not standing:
        return "failed"
    if all(_converged(chunks, rules) for chunks in standing):
        return "converged"
    if len(standing[0]) >= MIN_ROUNDS and elapsed_ms >= rules.budget_ms:
        return "budget"
    return None


def _converged(chunks: Sequence[Chunk], rules: Rules) -> bool:
    rounds = [chunk.step_ms for chunk in chunks]
    if len(rounds) < rules.min_rounds or sum(map(len, rounds)) < rules.min_samples:
        return False
    typical, lo, hi = over_rounds(rounds)
    return (hi - lo) / 2 < rules.precision * typical


def _turn(
    arm: Arm, round_index: int, clock: Clock, rules: Rules, device: torch.device, sensor: Sensor
) -> _Measured | _Failed:
    try:
        return _measure(arm, round_index, clock, rules, sensor)
    except Exception as error:
        # As text: a handler that keeps the exception would keep its frames, and so the workload.
        _log.warning("arm %s failed\n%s", arm.key, traceback.format_exc())
        return _Failed(status=status_of(error), reason=reason_of(error))
    finally:
        # The workload and the frames of an exception are out of scope by now: their memory must
        # not be there when the next arm is built. A GPU that an arm has broken does not answer any
        # more, which the arms after it will tell: what was measured before must not be lost.
        with suppress(torch.AcceleratorError):
            give_back(device)


def give_back(device: torch.device) -> None:
    """Free what an arm has left behind: objects in cycles, compiled code, the allocator's cache."""
    gc.collect()
    drop_compiled()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _measure(arm: Arm, round_index: int, clock: Clock, rules: Rules, sensor: Sensor) -> _Measured:
    workload = arm.build()
    turn, chunk = take_turn(workload, clock, rules, sensor, round_index)
    return _Measured(
        phases=distinct(workload.phases), samples=workload.samples, chunk=chunk, turn=turn
    )


def _collect(
    key: str, measured: Sequence[_Measured], failed: _Failed | None, stop: StopReason
) -> ArmSamples:
    first = measured[0] if measured else None
    return ArmSamples(
        key=key,
        phases=first.phases if first else (),
        samples=first.samples if first else 0,
        phase_ms=np.concatenate([one.chunk.phase_ms for one in measured])
        if measured
        else np.empty((0, 0)),
        turns=tuple(one.turn for one in measured),
        stop="failed" if failed else stop,
        status=failed.status if failed else "ok",
        reason=failed.reason if failed else "",
    )


def _check_keys(keys: Sequence[str]) -> None:
    if not keys:
        raise ValueError("arms must hold at least one arm, found none")
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f"arms must have keys of their own, found more than one of {twice}")
