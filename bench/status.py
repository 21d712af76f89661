"""What is in a results folder: suites, their units, and what runs now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from bench.errors import InputError
from bench.execution.locks import held_units
from bench.lines import one_line
from bench.records import UnusableError
from bench.report.frame import load_manifest
from bench.store import Store


def status_text(store: Store) -> tuple[str, bool]:
    """Every suite of the folder with the state of its units, and every unit that runs.

    And whether every suite's manifest could be read: one that cannot is told in its place.
    """
    running, lines, readable = held_units(store.locks), list[str](), True
    for name in _suites(store):
        try:
            lines += _suite(name, store, running)
        except InputError as error:
            lines.append(one_line(error))
            readable = False
    lines += [f"{one_line(name)}: a search that is not at its end" for name in _searches(store)]
    lines += [f"running: {one_line(_who(told))}" for told in running.values()]
    return "\n".join(lines) or f"{store.root}: no results of a suite here", readable


def _suites(store: Store) -> list[str]:
    return sorted(path.parent.name for path in store.root.glob("*/manifest.json"))


def _searches(store: Store) -> list[str]:
    """Folders of searches that have not come to what they compare."""
    folders = (path.parent for path in store.root.glob("*/study.journal"))
    return sorted(folder.name for folder in folders if not (folder / "manifest.json").exists())


def _suite(name: str, store: Store, running: Mapping[str, Any]) -> Iterator[str]:
    manifest = load_manifest(store.suite_folder(name))
    states: Counter[str] = Counter()
    failures = []
    timed = {unit for block in running for unit in manifest.get("blocks", {}).get(block, ())}
    for label, identity in _units(manifest):
        state, reason = _state(identity, store, identity in running or identity in timed)
        if reason:
            failures.append(f"  {one_line(f'{label}: {state}: {reason}')}")
        states[state] += 1
    told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    yield f"{one_line(name)}: {sum(states.values())} units: {told}"
    yield from failures


def _state(identity: str, store: Store, runs: bool) -> tuple[str, str]:
    """The state of a unit, and the reason where it is no good one."""
    try:
        record = store.look(identity)
    except FileNotFoundError:
        return ("running" if runs else "missing"), ""
    except UnusableError as error:
        return ("running", "") if runs else ("unusable", str(error))
    reason = "" if record["status"] == "ok" else record["reason"] or "no reason"
    return record["status"], reason


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
