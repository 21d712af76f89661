"""The studies of a search, opened in a process that is to work on their trials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.errors import InputError
from bench.execution.run import Options, Run
from bench.execution.shared import folder_of_run
from bench.fingerprint import describe
from bench.planning import Plan
from bench.search.costing import BUDGET_S
from bench.search.storage import Place
from bench.search.study import ArmStudy, search_seeds
from bench.searches import Search
from bench.store import Store
from bench.suite import Suite


@contextmanager
def opened(
    suite: Suite, search: Search, arms: Plan, store: Store, options: Options, place: Place
) -> Iterator[list[ArmStudy]]:
    """Arm by arm and repeat by repeat; raises InputError where the store cannot be written."""
    with ExitStack() as stack:
        try:
            described = store.write_environment(describe(options.device))
            data = stack.enter_context(folder_of_run(store.shared))
        except OSError as error:
            raise InputError(f"{store.root}: nothing can be written there: {error}") from None
        run = Run(store, options, described, data)
        yield [
            ArmStudy(
                arm=arm,
                search=search,
                suite=suite.name,
                place=place,
                run=run,
                device_type=options.device.type,
                seeds=search_seeds(search, suite.seeds, repeat),
                repeat=repeat,
                budget_s=BUDGET_S if suite.timing is None else suite.timing.budget_s,
            )
            for arm in arms.variants
            for repeat in range(search.repeats)
        ]
