"""A timing block: arms that take turns in rounds, so that drift of the machine meets them alike."""

from __future__ import annotations

import gc
import itertools
import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from bench.failure import status_of
from bench.statistics import median_interval
from bench.timing.clock import Chunk, Clock
from bench.timing.sampler import Rules, WarmUp, Workload, chunk_steps, sample_chunk, warm_up

ArmStatus = Literal["ok", "oom", "error"]
StopReason = Literal["converged", "budget", "failed"]

MIN_ROUNDS = 2
"""Rounds that are run whatever the budget: one round alone cannot show drift."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arm:
    """One of the things timed together; `build` makes its workload anew in every round."""

    key: str
    build: Callable[[], Workload]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One arm's part of one round; `wall_ms` is that of its chunk of `steps` samples."""

    round: int
    steps: int
    wall_ms: float
    warmup_steps: int
    warmup_reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArmSamples:
    """What a block measured of one arm.

    `phase_ms` is `[n, phases]`, in the order measured; `turns` cut it into chunks. `samples` is the
    batch size. `stop` says why the arm has no more samples, `status` and `reason` whether and why
    it failed; a failed arm keeps the samples of the rounds before. An arm that never finished a
    turn has neither phases nor samples.
    """

    key: str
    phases: tuple[str, ...]
    samples: int
    phase_ms: NDArray[np.float64]
    turns: tuple[Turn, ...]
    stop: StopReason
    status: ArmStatus
    reason: str

    @property
    def step_ms(self) -> NDArray[np.float64]:
        """Time of each step (`[n]`): the sum of its phases."""
        step_ms: NDArray[np.float64] = self.phase_ms.sum(axis=1)
        return step_ms

    def to_dict(self) -> dict[str, object]:
        """The same as JSON-able values; `rounds` gives each sample's round, `chunks` the turns."""
        return {
            "key": self.key,
            "phases": list(self.phases),
            "samples": self.samples,
            "phase_ms": self.phase_ms.tolist(),
            "rounds": [turn.round for turn in self.turns for _ in range(turn.steps)],
            "chunks": [
                {
                    "round": turn.round,
                    "steps": turn.steps,
                    "wall_ms": turn.wall_ms,
                    "warmup_steps": turn.warmup_steps,
                    "warmup_reason": turn.warmup_reason,
                }
                for turn in self.turns
            ],
            "stop": self.stop,
            "status": self.status,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    phases: tuple[str, ...]
    samples: int
    warm_up: WarmUp
    chunk: Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failed:
    status: ArmStatus
    reason: str


def run_block(
    arms: Sequence[Arm], *, clock: Clock, rules: Rules, device: torch.device
) -> list[ArmSamples]:
    """Time arms against each other; the results are in the order of `arms`.

    In each round every arm takes one turn: it is built, warmed up, sampled for one chunk and
    released. Round r starts at arm r mod n. The block ends after the round in which every arm has
    converged or the budget is spent. An arm that raises sits out the rounds that follow.

    Raises ValueError if there are no arms or two of one key.
    """
    _check_keys([arm.key for arm in arms])
    measured: dict[str, list[tuple[int, _Measured]]] = {arm.key: [] for arm in arms}
    failed: dict[str, _Failed] = {}
    started_ms = clock.now_ms()
    for round_index in itertools.count():
        for arm in rotated(arms, round_index):
            if arm.key in failed:
                continue
            outcome = _take_turn(arm, clock=clock, rules=rules, device=device)
            if isinstance(outcome, _Failed):
                failed[arm.key] = outcome
            else:
                measured[arm.key].append((round_index, outcome))
        standing = [[one.chunk for _, one in measured[a.key]] for a in arms if a.key not in failed]
        stop = stop_reason(standing, elapsed_ms=clock.now_ms() - started_ms, rules=rules)
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
    step_ms = np.concatenate([chunk.step_ms for chunk in chunks])
    if len(chunks) < rules.min_rounds or step_ms.size < rules.min_samples:
        return False
    median, lo, hi = median_interval(step_ms)
    return (hi - lo) / 2 < rules.precision * median


def _take_turn(
    arm: Arm, *, clock: Clock, rules: Rules, device: torch.device
) -> _Measured | _Failed:
    try:
        return _measure(arm, clock, rules)
    except Exception as error:
        # As text: a handler that keeps the exception would keep its frames, and so the workload.
        _log.warning("arm %s failed\n%s", arm.key, traceback.format_exc())
        return _Failed(status=status_of(error), reason=f"{type(error).__name__}: {error}")
    finally:
        # The workload and the frames of an exception are out of scope by now: their memory must
        # not be there when the next arm is built.
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()


def _measure(arm: Arm, clock: Clock, rules: Rules) -> _Measured:
    workload = arm.build()
    warm = warm_up(workload, clock, rules)
    chunk = sample_chunk(workload, clock, chunk_steps(warm.step_ms, rules))
    return _Measured(phases=workload.phases, samples=workload.samples, warm_up=warm, chunk=chunk)


def _collect(
    key: str, measured: Sequence[tuple[int, _Measured]], failed: _Failed | None, stop: StopReason
) -> ArmSamples:
    first = measured[0][1] if measured else None
    return ArmSamples(
        key=key,
        phases=first.phases if first else (),
        samples=first.samples if first else 0,
        phase_ms=np.concatenate([one.chunk.phase_ms for _, one in measured])
        if measured
        else np.empty((0, 0)),
        turns=tuple(
            Turn(
                round=round_index,
                steps=one.chunk.steps,
                wall_ms=one.chunk.wall_ms,
                warmup_steps=one.warm_up.steps,
                warmup_reason=one.warm_up.reason,
            )
            for round_index, one in measured
        ),
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


def summarise(samples: ArmSamples) -> dict[str, float]:
    """Numbers of one arm for a table row: every phase and the step, `n` and `samples_per_s`.

    For each phase and for `step` (the sum of the phases of each sample): `<name>_ms` is the median,
    `<name>_lo_ms` and `<name>_hi_ms` its distribution-free 95 % interval (NaN below six samples),
    `<name>_min_ms` the minimum, `<name>_iqr_share` the interquartile range as a share of the
    median, `<name>_outliers_mild` and `<name>_outliers_severe` how many values lie more than 1.5
    and more than 3 interquartile ranges outside the quartiles (Tukey, 1977; a severe one is not
    counted as mild; none is dropped). Throughput is that of the chunks' wall time. An arm without
    samples has only `n`.
    """
    n = samples.phase_ms.shape[0]
    if n == 0:
        return {"n": 0}
    row: dict[str, float] = {}
    columns: Mapping[str, NDArray[np.float64]] = {
        **{name: samples.phase_ms[:, i] for i, name in enumerate(samples.phases)},
        "step": samples.step_ms,
    }
    for name, values in columns.items():
        row |= _describe(name, values)
    wall_s = sum(turn.wall_ms for turn in samples.turns) / 1e3
    return {**row, "n": n, "samples_per_s": n * samples.samples / wall_s}


def _describe(name: str, values: NDArray[np.float64]) -> dict[str, float]:
    median, lo, hi = median_interval(values)
    q1, q3 = (float(q) for q in np.quantile(values, [0.25, 0.75]))
    iqr = q3 - q1
    beyond = np.maximum(q1 - values, values - q3)
    severe = int((beyond > 3 * iqr).sum())
    return {
        f"{name}_ms": median,
        f"{name}_lo_ms": lo,
        f"{name}_hi_ms": hi,
        f"{name}_min_ms": float(values.min()),
        f"{name}_iqr_share": iqr / median if median > 0 else float("nan"),
        f"{name}_outliers_mild": int((beyond > 1.5 * iqr).sum()) - severe,
        f"{name}_outliers_severe": severe,
    }
