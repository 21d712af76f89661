"""`search`: look for good settings of every arm, then compare the tuned arms."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

from optuna.trial import TrialState
from rich.console import Console

from bench.commands.report import print_tables, write_files
from bench.commands.request import Request, check_results
from bench.commands.run import ended_in_order
from bench.environment import command
from bench.errors import FAILED, OK, InputError
from bench.execution.run import Options, Run
from bench.execution.shared import folder_of_run
from bench.fingerprint import describe
from bench.naming import distinct
from bench.planning import make_plan
from bench.progress import Progress
from bench.report.analysis import analyse
from bench.report.latex import to_latex
from bench.report.table import aligned, github
from bench.running import run_plan
from bench.search.arms import plan_arms
from bench.search.budget import budget_columns, budget_notes
from bench.search.study import ArmStudy, open_storage, search_seeds
from bench.search.tuned import Found, folder_of, suite_file, tuned_suite
from bench.store import Store, write_text


def search(
    path: Path, request: Request, options: Options, storage: str | None, *, quiet: bool
) -> int:
    """Search the arms of a suite, then run the tuned ones beside the untuned, and report."""
    suite = request.suite(path)
    asked, arms = plan_arms(suite)
    arms.check_device(options.device)
    check_results(request.results, [folder_of(suite.name)])
    store, progress = Store(request.results), Progress(Console(stderr=True), quiet=quiet)
    folder = store.suite_folder(folder_of(suite.name))
    opened = open_storage(storage, folder)
    seeds = search_seeds(asked, suite.seeds)
    with ended_in_order():
        with ExitStack() as stack:
            try:
                described = store.write_environment(describe(options.device))
                data = stack.enter_context(folder_of_run(store.shared))
            except OSError as error:
                raise InputError(f"{store.root}: nothing can be written there: {error}") from None
            run = Run(store, options, described, data)
            found = []
            for arm in arms.variants:
                study = ArmStudy(arm, asked, suite.name, opened, run, options.device.type, seeds)
                with progress.stage(f"search {arm.name}", asked.trials * len(seeds)) as stage:
                    study.work(stage)
                found.append(_found(study))
        plain = distinct([re.sub(r"[^\w.=+-]", "_", one.arm.name) for one in found])
        for one, name in zip(found, plain, strict=True):
            if one.config is not None:
                write_text(folder / f"best-{name}.yaml", suite_file(suite, one))
        if not any(one.config for one in found if one.arm.name == arms.baseline):
            text = f"no trial of the baseline '{arms.baseline}' was completed"
            raise InputError(f"{path}: search: {text}: there is nothing to compare with")
        outcome = run_plan(
            make_plan(tuned_suite(suite, arms, found)), store, options, progress, command()
        )
    analysis = analyse(folder)
    print_tables(analysis)
    write_files(analysis)
    columns = budget_columns(found, analysis.comparison)
    notes = budget_notes(found, asked)
    listed = "\n".join(f"- {note}" for note in notes)
    write_text(folder / "tuned.md", f"{github(columns)}\n\n{listed}\n")
    write_text(folder / "tuned.tex", to_latex(columns))
    print(f"\n{aligned(columns)}\n{listed}")
    return FAILED if outcome.failed or any(one.config is None for one in found) else OK


def _found(study: ArmStudy) -> Found:
    trials = study.study.get_trials(deepcopy=False)
    best = study.best()

    def count(state: TrialState) -> int:
        return sum(trial.state == state for trial in trials)

    return Found(
        arm=study.arm,
        config=None if best is None else best[1],
        value=float("nan") if best is None else float(best[0].value or 0.0),
        params={} if best is None else best[0].params,
        finished=count(TrialState.COMPLETE),
        pruned=count(TrialState.PRUNED),
        failed=count(TrialState.FAIL),
        samples=study.samples(),
    )
