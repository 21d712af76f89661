"""Run a suite: train what is missing, time, keep records; what is there is not run again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from bench import environment
from bench.cell import TimingBlock, TrainCell
from bench.errors import InputError
from bench.execution.profiling import Profiling
from bench.execution.run import FailFastError, Options, Run
from bench.execution.shared import folder_of_run
from bench.execution.timing import Timing
from bench.execution.training import Training
from bench.fingerprint import describe
from bench.keeping import lacks
from bench.manifest import write_manifest
from bench.planning import Plan
from bench.progress import Progress
from bench.records import FINE
from bench.seen import Seen
from bench.store import Store
from bench.timing.refusal import check_environment


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: how many units were run, how many there already, and those that failed."""

    ran: int
    reused: int
    failed: tuple[tuple[str, str], ...]
    """Label of every unit that has failed, and the reason with its log or its record's file."""
    stopped: str = ""
    """Why the run ended before its end, if it did."""
    not_run: int = 0
    """Units that the run did not come to."""
    moved: tuple[str, ...] = ()
    """What was set aside, where and why."""


def run_plan(
    plan: Plan, store: Store, options: Options, progress: Progress, command: str = "bench.run(…)"
) -> Outcome:
    """Bring every unit of the plan into the store; the suite's manifest says which are its own.

    `command` is how the run was asked for. Raises InputError where the store cannot be written.
    """
    cells = plan.cells(options.device.type)
    blocks = plan.blocks(environment.device_name(options.device))
    if blocks:
        check_environment(options.device)
    units = _labelled_units(plan, cells, blocks)
    labels = {cell.id: f"{name} seed {seed}" for (name, seed), cell in cells.items()}
    made, unwritten, stopped = set[str](), dict[str, str](), ""
    with ExitStack() as stack:
        try:
            described = store.write_environment(describe(options.device))
            profiles = plan.profiles(environment.device_name(options.device))
            write_manifest(plan, store, cells, blocks, command, profiles)
            data = stack.enter_context(folder_of_run(store.shared))
        except OSError as error:
            raise InputError(f"{store.root}: nothing can be written there: {error}") from None
        again = _without_files(cells.values(), store) if options.train else {}
        again |= failed_before(units.values(), store) if options.retry_failed else {}
        run = Run(store, options, described, data, again, made, unwritten)
        wanted = _distinct(cells) if options.train else []
        seen = Seen(store)
        missing = [c for c in wanted if c.id in again or seen.outcome(c.id) is None]
        try:
            with progress.stage("train", len(missing)) as stage:
                Training(run, labels, stage).train(missing)
            seen.forget([*again, *made])
            timing = Timing(run, progress, _untrained(plan, cells, seen) if blocks else {})
            for block in blocks:
                timing.time(block)
        except FailFastError as error:
            stopped = f"ended by the first failure (--fail-fast): {error}"
    seen.forget([*again, *made])
    moved, store.moved = tuple(store.moved), []
    others = set(units.values()) - made
    reused = sum(seen.outcome(identity) is not None for identity in others)
    whole = options.train and not stopped
    return Outcome(
        ran=len(made),
        reused=reused,
        failed=_failed(units, store, seen, unwritten, cut_short=not whole),
        stopped=stopped,
        not_run=len(others) - reused,
        moved=moved,
    )


def profile_plan(
    plan: Plan,
    store: Store,
    options: Options,
    progress: Progress,
    command: str,
    *,
    snapshots: bool = False,
) -> dict[str, str]:
    """Bring the profile of every variant into the store; variants that failed, and why.

    Traces go below `traces/` in the suite's folder, with memory snapshots (CUDA only) if asked for.
    Raises InputError where the store cannot be
    written.
    """
    name = environment.device_name(options.device)
    units = plan.profiles(name)
    check_environment(options.device)
    with ExitStack() as stack:
        try:
            described = store.write_environment(describe(options.device))
            cells, blocks = plan.cells(options.device.type), plan.blocks(name)
            write_manifest(plan, store, cells, blocks, command, units)
            data = stack.enter_context(folder_of_run(store.shared))
        except OSError as error:
            raise InputError(f"{store.root}: nothing can be written there: {error}") from None
        identities = [unit.id for unit in units.values()]
        again = failed_before(identities, store) if options.retry_failed else {}
        run = Run(store, options, described, data, again)
        folder = store.suite_folder(plan.suite.name) / "traces"
        Profiling(run, progress, folder, snapshots).profile(units)
        return {n: told for n, unit in units.items() if (told := run.failure(unit.id))}


def _distinct(cells: Mapping[tuple[str, int], TrainCell]) -> list[TrainCell]:
    return list({cell.id: cell for cell in cells.values()}.values())


def _labelled_units(
    plan: Plan, cells: Mapping[tuple[str, int], TrainCell], blocks: list[TimingBlock]
) -> dict[str, str]:
    """The identity of every unit; variants may share one."""
    units = {f"{name} seed {seed}": cell.id for (name, seed), cell in cells.items()}
    arms = plan.arms
    for block in blocks:
        for name, arm in arms.items():
            label = f"{name} time {block.mode} at batch size {block.batch_size}"
            units[label] = block.record_id(arm)
    return units


def failed_before(identities: Iterable[str], store: Store) -> dict[str, int]:
    """The records that have failed before, and when; not those of a suite that was just run."""
    failed = {}
    for identity in identities:
        stamp, record = store.stamp(identity), store.read(identity)
        old = stamp < store.opened
        if old and record is not None and record["status"] not in FINE:
            failed[identity] = stamp
    return failed


def _without_files(cells: Iterable[TrainCell], store: Store) -> dict[str, int]:
    """Finished cells that lack what they are to keep, and when their records were written."""
    asked = {cell.id: cell for cell in cells if lacks(cell.config, store.kept(cell.id))}
    found = {identity: store.read(identity) for identity in asked}
    finished = [i for i, record in found.items() if record and record["status"] == "ok"]
    return {identity: store.stamp(identity) for identity in finished}


def _untrained(
    plan: Plan, cells: Mapping[tuple[str, int], TrainCell], seen: Seen
) -> dict[str, str]:
    """Arms of which no cell could be trained, and why."""
    arms, records = plan.arms, dict[str, list[Mapping[str, Any] | None]]()
    for (name, _), cell in cells.items():
        if name in arms:
            records.setdefault(arms[name].id, []).append(seen.outcome(cell.id))
    reasons = {}
    for arm, found in records.items():
        failed = [one for one in found if one is not None and one["status"] != "ok"]
        if len(failed) == len(found):
            reasons[arm] = f"not trained: {failed[0]['status']}: {failed[0]['reason']}"
    return reasons


def _failed(
    units: Mapping[str, str],
    store: Store,
    seen: Seen,
    unwritten: Mapping[str, str],
    *,
    cut_short: bool,
) -> tuple[tuple[str, str], ...]:
    """Units without a record count only where the run was not cut short."""
    failed = []
    for label, identity in units.items():
        record = seen.outcome(identity)
        if record is None:
            if not cut_short:
                failed.append((label, unwritten.get(identity, "error: its record is gone")))
        elif identity in unwritten:
            failed.append((label, unwritten[identity]))
        elif record["status"] not in FINE:
            place = store.root / record["log"] if "log" in record else store.path(identity)
            failed.append((label, f"{record['status']}: {record['reason']} ({place})"))
    return tuple(failed)
