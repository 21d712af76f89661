"""What `bench plan` tells: variants, units, what is there already, skips, and the time left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import torch

from bench.environment import device_name
from bench.estimate import estimate
from bench.keeping import lacks
from bench.lines import one_line
from bench.planning import Plan, Variant
from bench.records import FINE
from bench.store import Store

Overview = Mapping[str, Any]


def overview(plan: Plan, store: Store, device: torch.device) -> Overview:
    """The plan against the store, as JSON-able values."""
    cells = plan.cells(device.type)
    records = {cell.id: store.read(cell.id) for cell in cells.values()}
    again = {cell.id for cell in cells.values() if lacks(cell.config, store.kept(cell.id))}
    status = {
        unit: record["status"]
        if record and (record["status"] != "ok" or unit not in again)
        else None
        for unit, record in records.items()
    }
    blocks = plan.blocks(device_name(device))
    timed = [store.has_block(block) for block in blocks]

    def variant(one: Variant) -> dict[str, Any]:
        units = [(seed, cells[one.name, seed].id) for seed in plan.suite.seeds]
        return {
            "name": one.name,
            "parameters": one.parameters,
            "single_task": plan.single_task.get(one.name),
            "cells": [{"seed": seed, "id": unit, "status": status[unit]} for seed, unit in units],
            "config": one.config,
        }

    missing = list({cell.id: cell for cell in cells.values() if not status[cell.id]}.values())
    left = [block for block, done in zip(blocks, timed, strict=True) if not done]
    return {
        "suite": plan.suite.name,
        "question": plan.suite.question,
        "seeds": list(plan.suite.seeds),
        "baseline": plan.baseline,
        "family": {"variants": list(plan.family), "best_of": list(plan.best_of)},
        "variants": [variant(one) for one in plan.variants],
        "single_task": [variant(one) for one in plan.twins],
        "skipped": [asdict(skip) for skip in plan.skips],
        "timing": [
            {
                "mode": block.mode,
                "batch_size": block.batch_size,
                "arms": len(block.arms),
                "there": done,
            }
            for block, done in zip(blocks, timed, strict=True)
        ],
        "estimate": asdict(estimate(missing, left, store.records() if missing else ())),
    }


def overview_text(told: Overview) -> str:
    """The overview for a terminal."""
    return "\n".join(_lines(told))


def _lines(told: Overview) -> Iterator[str]:
    yield one_line(f"{told['suite']}: {told['question']}").rstrip(" :")
    yield f"{_count(told['variants'], 'variant')} × {_count(told['seeds'], 'seed')}:"
    yield from _variants(told["variants"], _marks(told))
    if told["single_task"]:
        yield "trained for Δm only, not timed, no verdict:"
        yield from _variants(told["single_task"], {})
    for skip in told["skipped"]:
        yield f"  skipped: {one_line(skip['name'])}: {one_line(skip['reason'])}"
    cells = {c["id"]: c["status"] for v in _trained(told) for c in v["cells"]}
    done = sum(status is not None for status in cells.values())
    blocks = _count(told["timing"], "timing block")
    yield f"{_count(cells, 'train cell')}, {done} of them there; {blocks}"
    for block in told["timing"]:
        state = "there" if block["there"] else "to do"
        arms = _count(range(block["arms"]), "arm")
        yield f"  {block['mode']} at batch size {block['batch_size']}, {arms}: {state}"
    if done < len(cells) or not all(block["there"] for block in told["timing"]):
        yield _time(told["estimate"])


def _trained(told: Overview) -> list[Mapping[str, Any]]:
    return [*told["variants"], *told["single_task"]]


def _marks(told: Overview) -> dict[str, str]:
    """What is told of a variant behind its name, if anything: its part in the comparison."""
    family, best_of = told["family"]["variants"], told["family"]["best_of"]
    marks: dict[str, str] = {}
    for name in (one["name"] for one in told["variants"]):
        parts = {
            "baseline": name == told["baseline"],
            "candidate for the best": name in best_of,
            "no verdict": name not in family,
        }
        if any(parts.values()):
            marks[name] = f" ({', '.join(part for part, has in parts.items() if has)})"
    return marks


def _variants(variants: list[Mapping[str, Any]], marks: Mapping[str, str]) -> Iterator[str]:
    for one in variants:
        states = [cell["status"] for cell in one["cells"]]
        done, count = sum(status is not None for status in states), one["parameters"]
        failed = sum(status not in (None, *FINE) for status in states)
        bad = f", {failed} of them failed (--retry-failed)" if failed else ""
        size = "" if count is None else f", {count:,} parameters"
        mark = marks.get(one["name"], "")
        yield f"  {one_line(one['name'])}{mark}: {done} of {len(states)} there{bad}{size}"


def _time(left: Mapping[str, Any]) -> str:
    judged = left["alike"] + left["guessed"]
    told = [f"training about {_duration(left['train_s'])}"] if judged else []
    if left["timing_s"]:
        told.append(f"timing at most {_duration(left['timing_s'])}")
    notes = []
    if left["guessed"]:
        notes.append(f"{left['guessed']} cells judged by other models on the same data")
    if left["open_ended"]:
        notes.append(f"{left['open_ended']} cells at full length: patience may end them before")
    if left["unknown"]:
        notes.append(f"{left['unknown']} cells are like none that has run: no estimate")
    return "time left: " + "; ".join([", ".join(told), *notes] if told else notes)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _count(things: Any, noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"
