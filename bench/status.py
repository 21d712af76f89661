"""What is in a results folder: suites, their units, and what runs now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from bench.execution.locks import held_units
from bench.report.frame import load_manifest
from bench.store import Store


def status_text(store: Store) -> str:
    """Every suite of the folder with the state of its units, and every unit that runs."""
    running = held_units(store.locks)
    lines = [line for folder in _suites(store) for line in _suite(folder, store, running)]
    lines += [f"running: {_who(told)}" for told in running.values()]
    return "\n".join(lines) or f"{store.root}: no results of a suite here"


def _suites(store: Store) -> list[str]:
    return sorted(path.parent.name for path in store.root.glob("*/manifest.json"))


def _suite(name: str, store: Store, running: Mapping[str, Any]) -> Iterator[str]:
    manifest = load_manifest(store.suite_folder(name))
    states: Counter[str] = Counter()
    failures = []
    for label, identity in _units(manifest):
        record = store.read(identity)
        state = "running" if identity in running else "missing"
        if record is not None:
            state = record["status"]
            if state != "ok":
                failures.append(f"  {label}: {state}: {record['reason']}")
        states[state] += 1
    told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    yield f"{name}: {sum(states.values())} units: {told}"
    yield from failures


def _units(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    seen = set()
    for variant in manifest["variants"]:
        units = [(f"{variant['name']} seed {c['seed']}", c["record"]) for c in variant["train"]]
        units += [(f"{variant['name']} time", identity) for identity in variant["time"]]
        for label, identity in units:
            if identity not in seen:
                seen.add(identity)
                yield label, identity


def _who(told: Mapping[str, Any]) -> str:
    return f"{told.get('label', '?')} (process {told.get('pid', '?')} on {told.get('host', '?')})"
