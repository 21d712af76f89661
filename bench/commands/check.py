"""`check`: whether components of one's own are what they must be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.errors import FAILED, OK
from bench.plugins import load_plugins
from bench.report.columns import one_line
from mtmm.components import Registration, registered
from mtmm.fusion import FUSIONS
from mtmm.fusion.conformance import INVARIANTS, broken, cases_of


def check(plugins: Sequence[Path]) -> int:
    """Load plugins and run the conformance suite over every fusion they register.

    A plugin that cannot be loaded is told as everywhere; 1 where a fusion breaks an invariant.
    """
    load_plugins(plugins)
    return FAILED if any([_told(one) for one in registered()]) else OK


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
