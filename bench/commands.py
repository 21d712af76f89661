"""What the commands do, with PyTorch at hand."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from rich.console import Console

from bench.environment import device_name, pick_device
from bench.errors import FAILED, OK, InputError
from bench.optimization import OPTIMIZERS, SCHEDULES
from bench.planning import make_plan
from bench.progress import Progress
from bench.report.frame import load_manifest
from bench.report.table import accuracy_table, cost_table, notes
from bench.report.write import load_comparison, write_report
from bench.running import Outcome, is_timed, run_plan
from bench.store import Store
from bench.suite import load_suite
from mtmm.data import DATASETS
from mtmm.encoders import ENCODERS
from mtmm.fusion import FUSIONS
from mtmm.heads import HEADS
from mtmm.settings import Component, describe_type, listed, nearest, settings_of
from mtmm.sharing import SHARINGS
from mtmm.weighting import WEIGHTINGS

KINDS: Mapping[str, Mapping[str, Component]] = {
    "datasets": DATASETS,
    "encoders": ENCODERS,
    "fusions": FUSIONS,
    "sharings": SHARINGS,
    "heads": HEADS,
    "weightings": WEIGHTINGS,
    "optimizers": OPTIMIZERS,
    "schedules": SCHEDULES,
}


def run(suites: Sequence[Path], *, results: Path, device: str, quiet: bool) -> int:
    """Run suites one after another; every one is validated before the first starts."""
    picked = _pick(device)
    plans = [make_plan(load_suite(suite)) for suite in suites]
    _writable(results)
    store, progress = Store(results), Progress(Console(stderr=True), quiet=quiet)
    outcomes = []
    for plan in plans:
        outcomes.append(run_plan(plan, store, picked, progress))
        _print_report(store.suite_folder(plan.suite.name))
        _print_outcome(outcomes[-1], store)
    return FAILED if any(outcome.failed for outcome in outcomes) else OK


def plan(suite: Path, *, results: Path, device: str) -> int:
    """Print the variants and units of a suite, and how many records are there already."""
    planned, store, picked = make_plan(load_suite(suite)), Store(results), _pick(device)
    cells = planned.cells(picked.type)
    blocks = planned.blocks(device_name(picked))
    there = sum(store.read(cell.id) is not None for cell in cells.values())
    print(f"{planned.suite.name}: {planned.suite.question}")
    print(f"{len(planned.variants)} variants × {len(planned.suite.seeds)} seeds:")
    for variant in planned.variants:
        print(f"  {variant.name}{' (baseline)' if variant.name == planned.baseline else ''}")
    for skip in planned.skips:
        print(f"  skipped: {skip.name}: {skip.reason}")
    print(f"{len(cells)} train cells, {there} of them there; timing blocks:")
    for block in blocks:
        state = "there" if is_timed(block, store) else "to do"
        print(f"  {block.mode} at batch size {block.batch_size}, {len(block.arms)} arms: {state}")
    return OK


def report(folders: Sequence[Path]) -> int:
    """Write the reports anew from the records and print the tables."""
    for folder in folders:
        _print_report(folder)
    return OK


def list_components(kind: str | None) -> int:
    """Print every component of a kind, or of all kinds, with its settings."""
    if kind is not None and kind not in KINDS:
        text = f"unknown kind '{kind}'{nearest(kind, KINDS)} (there are: {listed(KINDS)})"
        raise InputError(text)
    for name, registry in KINDS.items():
        if kind in (None, name):
            print(f"{name}:")
            for component in sorted(registry):
                _print_component(component, registry[component])
    return OK


def _print_component(name: str, component: Component) -> None:
    print(f"  {name}: {_first_sentence(component)}")
    for setting in settings_of(component).values():
        default = "null" if setting.default is None else setting.default
        print(f"      {setting.name}: {describe_type(setting.annotation)}; default {default}")


def _first_sentence(component: Component) -> str:
    text = getattr(component, "__wrapped__", component).__doc__ or ""
    return " ".join(text.strip().split("\n\n")[0].split())


def _print_report(folder: Path) -> None:
    """Write the report of a suite and print what it says."""
    files = write_report(folder)
    manifest, comparison = load_manifest(folder), load_comparison(folder)
    print(f"\n{manifest['suite']}: {manifest['question']}".rstrip(" :"))
    print()
    print(accuracy_table(comparison))
    print(cost_table(comparison))
    print("\n".join(f"- {note}" for note in notes(comparison)))
    for skip in manifest["skips"]:
        print(f"- Skipped: {skip['variant']}: {skip['reason']}")
    print(f"\nFiles: {', '.join(map(str, files))}")


def _print_outcome(outcome: Outcome, store: Store) -> None:
    print(f"{outcome.ran} units run, {outcome.reused} reused from {store.root / 'cells'}.")
    for label, reason in outcome.failed:
        print(f"failed: {label}: {reason}", file=sys.stderr)


def _pick(device: str) -> torch.device:
    try:
        return pick_device(device)
    except ValueError as error:
        raise InputError(f"--device: {error}") from None


def _writable(results: Path) -> None:
    try:
        results.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--results {results}: {error.strerror}") from None
