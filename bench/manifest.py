"""The manifest of a suite: which records belong to which of its variants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from bench.cell import ProfileUnit, TimingBlock, TrainCell
from bench.planning import Plan
from bench.records import MANIFEST_VERSION
from bench.store import Store, write_json
from bench.variant import description_of
from mtmm.heads.judging import objectives


def write_manifest(
    plan: Plan,
    store: Store,
    cells: Mapping[tuple[str, int], TrainCell],
    blocks: list[TimingBlock],
    command: str,
    profiles: Mapping[str, ProfileUnit] = MappingProxyType({}),
) -> None:
    """Say which records belong to which variant of the suite; `command` asked for them."""
    arms = plan.arms
    manifest = {
        "schema_version": MANIFEST_VERSION,
        "suite": plan.suite.name,
        "question": plan.suite.question,
        "baseline": plan.baseline,
        "base": plan.variants[0].name,
        "family": {"variants": list(plan.family), "best_of": list(plan.best_of)},
        "single_task": plan.single_task,
        "command": command,
        "skips": [{"variant": skip.name, "reason": skip.reason} for skip in plan.skips],
        "metrics": _metrics(plan),
        "blocks": {b.id: [b.record_id(arm) for arm in b.arms] for b in blocks},
        "variants": [
            {
                "name": variant.name,
                "compared": variant.name in arms,
                "varied": list(variant.varied),
                "ablation": variant.ablation,
                "config": variant.config,
                "train": [
                    {"seed": seed, "record": cells[variant.name, seed].id}
                    for seed in plan.suite.seeds
                ],
                "time": [
                    block.record_id(arms[variant.name]) for block in blocks if variant.name in arms
                ],
                "profile": profiles[variant.name].id if variant.name in profiles else None,
            }
            for variant in (*plan.variants, *plan.twins)
        ],
    }
    write_json(store.suite_folder(plan.suite.name) / "manifest.json", manifest)


def _metrics(plan: Plan) -> dict[str, dict[str, Any]]:
    """The directed metrics of all tasks, a kind's primary one first: reports need no plugin."""
    metrics: dict[str, dict[str, Any]] = {}
    for variant in plan.variants:
        judged = objectives(
            description_of(variant.config).tasks, variant.config["model"].get("heads")
        )
        for objective in judged.values():
            for name in (objective.primary, *objective.metrics):
                metrics.setdefault(name, asdict(objective.metrics[name]))
    return metrics
