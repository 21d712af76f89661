"""`search`: look for good settings of every arm, then compare the tuned arms."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from bench.commands.report import print_tables, write_files
from bench.commands.request import Request, check_results
from bench.commands.run import ended_in_order
from bench.environment import command
from bench.errors import FAILED, OK
from bench.execution.run import FailFastError, Options
from bench.lines import one_line
from bench.naming import distinct
from bench.planning import Plan, make_plan
from bench.progress import Progress
from bench.report.analysis import analyse
from bench.report.latex import to_latex
from bench.report.search import FILE
from bench.report.table import aligned, github
from bench.running import run_plan
from bench.search.arms import plan_arms
from bench.search.budget import budget_columns, budget_notes
from bench.search.claims import REASON, TrialsFailError
from bench.search.history import history
from bench.search.opening import opened
from bench.search.repeats import NOTES, arm_columns, tuned_scores
from bench.search.storage import Place
from bench.search.study import ArmStudy
from bench.search.tuned import Found, found_by, suite_file, tuned_suite, with_single_task
from bench.search.tuned import folder_of as tuned_name
from bench.search.workers import helped
from bench.searches import Search
from bench.store import Store, write_json, write_text
from bench.suite import Suite
from bench.timing.refusal import check_environment


def search(
    path: Path, request: Request, options: Options, storage: str | None, *, quiet: bool
) -> int:
    """Search the arms of a suite, then run the tuned ones beside the untuned, and report."""
    suite = request.suite(path)
    asked, arms = plan_arms(suite)
    arms.check_device(options.device)
    if asked.times:
        check_environment(options.device)
    name = tuned_name(suite.name)
    check_results(request.results, [name])
    store, progress = Store(request.results), Progress(Console(stderr=True), quiet=quiet)
    folder = store.suite_folder(name)
    place = Place(storage, folder)
    place.connect()
    with ended_in_order():
        try:
            studies = _studies(path, request, options, place, progress)
        except (FailFastError, TrialsFailError) as error:
            text = f"{path}: search ended: {error}: the same command goes on, with --retry-failed "
            text += "also at what failed"
            progress.console.print(one_line(text), markup=False, highlight=False, soft_wrap=True)
            return FAILED
        found = [found_by(study) for study in studies]
        if not any(one.config for one in found if one.arm.name == arms.baseline):
            text = f"{path}: search: {_nothing_found(asked, arms, studies)}"
            progress.console.print(one_line(text), markup=False, highlight=False, soft_wrap=True)
            return FAILED
        write_json(folder / FILE, history(suite.name, asked, studies))
        _write_best(folder, suite, found)
        tuned = with_single_task(make_plan(tuned_suite(suite, arms, found)), arms, found)
        outcome = run_plan(tuned, store, options, progress, command())
    _report(folder, asked, arms, found)
    return FAILED if outcome.failed or any(one.config is None for one in found) else OK


def _studies(
    path: Path, request: Request, options: Options, place: Place, progress: Progress
) -> list[ArmStudy]:
    """Every study with its trials; raises FailFastError and TrialsFailError."""
    suite = request.suite(path)
    asked, arms = plan_arms(suite)
    # One process trains the seeds of a trial side by side; several have a trial each.
    own, *others = _shares(options)

    def note(text: str) -> None:
        progress.console.print(text, markup=False, highlight=False)

    with (
        place.kept(),
        opened(suite, asked, arms, Store(request.results), own, place) as studies,
        helped(work_along, [(path, request, other, place) for other in others], note),
    ):
        for study in studies:
            total = study.claims.asked * len(study.seeds)
            with progress.stage(f"search {study.label}", total) as stage:
                study.work(stage)
    return studies


def _shares(options: Options) -> list[Options]:
    """What each process gets: one trains the seeds of a trial side by side, several one by one.

    They begin with different devices.
    """
    count, devices = options.workers or 1, options.devices
    if count == 1:
        return [options]
    turns = [i % len(devices) for i in range(count)]
    return [replace(options, workers=1, devices=devices[i:] + devices[:i]) for i in turns]


def work_along(path: Path, request: Request, options: Options, place: Place) -> None:
    """What another process does for a search: trials, until every study has enough."""
    request.load()
    _studies(path, request, options, place, Progress(Console(stderr=True), quiet=True))


def _write_best(folder: Path, suite: Suite, found: Sequence[Found]) -> None:
    """Every tuned arm as a suite of its own, in the place of those of an earlier search."""
    for old in folder.glob("best-*.yaml"):
        old.unlink()
    plain = distinct([re.sub(r"[^\w.=+-]", "_", one.search) for one in found])
    for one, name in zip(found, plain, strict=True):
        if one.config is not None:
            write_text(folder / f"best-{name}.yaml", suite_file(suite, one))


def _nothing_found(asked: Search, arms: Plan, studies: Sequence[ArmStudy]) -> str:
    """Why there is nothing to compare with."""
    within = " within the constraints" if asked.constraints else ""
    text = f"no trial of the baseline '{arms.baseline}' was completed{within}"
    reasons = [
        str(trial.user_attrs[REASON])
        for study in studies
        if study.arm.name == arms.baseline
        for trial in study.study.get_trials(deepcopy=False)
        if trial.user_attrs.get(REASON)
    ]
    last = f" (the last one that was not: {reasons[-1]})" if reasons else ""
    return f"{text}, so there is nothing to compare with{last}"


def _report(folder: Path, asked: Search, arms: Plan, found: Sequence[Found]) -> None:
    """Print and write the report of the tuned suite, and the table with the budget."""
    analysis = analyse(folder)
    print_tables(analysis)
    write_files(analysis)
    columns = budget_columns(found, asked, analysis.comparison)
    notes = [f"No arm: {one.name}: {one.reason}." for one in arms.skips]
    notes += budget_notes(found, asked)
    tables = [(columns, notes, "tuned.tex")]
    scores = tuned_scores(found, analysis.comparison)
    if asked.repeats > 1:
        tables.append((arm_columns(scores, arms.baseline), list(NOTES), "tuned-arms.tex"))
    parts = []
    for columns, notes, name in tables:
        listed = "\n".join(f"- {one_line(note)}" for note in notes)
        write_text(folder / name, to_latex(columns))
        print(f"\n{aligned(columns)}\n{listed}")
        parts.append(f"{github(columns)}\n\n{listed}\n")
    write_text(folder / "tuned.md", "\n".join(parts))
