from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.api import plan
from bench.manifest import write_manifest
from bench.records import MANIFEST_VERSION
from bench.store import Store


def manifest(suite: dict[str, Any], root: Path) -> dict[str, Any]:
    planned, store = plan(suite), Store(root)
    write_manifest(planned, store, planned.cells("cpu"), planned.blocks("machine"), "a command")
    told: dict[str, Any] = json.loads((root / "small" / "manifest.json").read_text("utf-8"))
    return told


def test_it_says_what_is_whose(suite: dict[str, Any], tmp_path: Path) -> None:
    suite |= {"sweep": [{"fusion": ["sum"]}], "ablate": {"weighting": "uncertainty"}, "timing": {}}
    told = manifest(suite, tmp_path)
    assert (told["schema_version"], told["suite"]) == (MANIFEST_VERSION, "small")
    assert (told["base"], told["baseline"]) == ("base", "base")
    by_name = {variant["name"]: variant for variant in told["variants"]}
    assert list(by_name) == ["base", "sum", "uncertainty", "single-task", "single-task-sum"]
    assert by_name["sum"]["varied"] == ["model.fusion"]
    assert [name for name, one in by_name.items() if one["ablation"]] == ["uncertainty"]
    assert [name for name, one in by_name.items() if not one["compared"]] == [
        "single-task",
        "single-task-sum",
    ]
    cells = plan(suite).cells("cpu")
    for name, variant in by_name.items():
        assert {(name, c["seed"]): c["record"] for c in variant["train"]} == {
            key: cell.id for key, cell in cells.items() if key[0] == name
        }
        assert len(variant["time"]) == (2 if variant["compared"] else 0)


def test_it_holds_the_direction_of_every_metric_the_primary_one_first(
    suite: dict[str, Any], tmp_path: Path
) -> None:
    metrics = manifest(suite, tmp_path)["metrics"]
    assert list(metrics) == ["accuracy", "balanced_accuracy"]
    assert metrics["accuracy"] == {"higher_is_better": True, "ideal": 1.0, "version": 1}


def test_an_ablation_that_a_sweep_holds_too_is_one(suite: dict[str, Any], tmp_path: Path) -> None:
    suite |= {"sweep": [{"fusion": ["sum"]}], "ablate": {"fusion": "sum"}}
    assert [v["ablation"] for v in manifest(suite, tmp_path)["variants"]] == [False, True]


def test_it_holds_the_records_of_each_block(suite: dict[str, Any], tmp_path: Path) -> None:
    suite |= {"timing": {"modes": ["train"]}}
    told = manifest(suite, tmp_path)
    (block,) = plan(suite).blocks("machine")
    assert told["blocks"] == {block.id: [unit for v in told["variants"] for unit in v["time"]]}


def test_it_holds_the_family_by_the_names_of_the_variants(
    suite: dict[str, Any], tmp_path: Path
) -> None:
    suite |= {"sweep": [{"fusion": ["sum", "gated"]}], "ablate": {"weighting": "uncertainty"}}
    names = ["base", "sum", "gated", "uncertainty"]
    assert manifest(suite, tmp_path)["family"] == {"variants": names, "best_of": []}
    suite["family"] = {"except": {"fusion": "sum"}, "best": {"weighting": "equal"}}
    assert manifest(suite, tmp_path)["family"] == {
        "variants": ["base", "gated", "uncertainty"],
        "best_of": ["base", "sum", "gated"],
    }


def test_a_run_from_python_does_not_name_a_command_line(finished: Path) -> None:
    told = json.loads((finished / "manifest.json").read_text("utf-8"))
    assert told["command"] == "bench.run(…)"
