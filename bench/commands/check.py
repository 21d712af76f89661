"""`check`: whether components of one's own are what they must be, and what data hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.api import plan
from bench.errors import FAILED, OK, InputError
from bench.lines import one_line
from bench.plugins import load_plugins
from bench.understood import understood
from mtmm.components import Registration, registered
from mtmm.data import DATASETS
from mtmm.fusion import FUSIONS
from mtmm.fusion.conformance import INVARIANTS, broken, cases_of
from mtmm.registry import settings_in


def check(plugins: Sequence[Path], suite: Path | None = None, picture: Path | None = None) -> int:
    """Load plugins and run the conformance suite over every fusion they register.

    With `suite` its data are built, and what was understood of them is printed; a few samples are
    drawn into the file `picture`. A plugin or a suite that will not do is told as everywhere; 1
    where a fusion breaks an invariant.
    """
    load_plugins(plugins)
    code = FAILED if any([_told(one) for one in registered()]) else OK
    if suite is not None:
        _understood(suite, picture)
    return code


def _understood(suite: Path, picture: Path | None) -> None:
    config = plan(suite).variants[0].config
    dataset, settings = config["dataset"]["name"], settings_in(config["dataset"])
    try:
        whole = DATASETS[dataset](**settings)
        bundle = whole.select(config["modalities"], config["tasks"])
        known = DATASETS[dataset].legend(**settings)
        for line in understood(bundle, known):
            print(line)
    except ValueError as error:
        raise InputError(f"{suite}: dataset: {error}") from None
    if picture is not None:
        # Matplotlib takes half a second to load: only where something is drawn.
        from bench.picture import draw

        draw(bundle, known, picture)
        print(f"samples of train: {picture}")


def _told(one: Registration) -> bool:
    """Print what there is to say of a component; whether something is wrong with it."""
    owner = f"{one.kind} '{one.name}'"
    if one.kind != "fusion":
        print(f"{owner}: registered; only fusions have further checks")
        return False
    make = FUSIONS[one.name]
    wrong = broken(make)
    for name, text in wrong:
        print(f"{owner} breaks `{name}`: {one_line(text)}")
    if not wrong:
        counts = " and ".join(str(len(case.dims)) for case in cases_of(make))
        if not counts:
            print(f"{owner}: not checked: its `check` allows none of one, two or three modalities")
            return False
        print(f"{owner}: conforms ({len(INVARIANTS)} invariants, {counts} modalities)")
    return bool(wrong)
