from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.api import plan, run
from bench.overview import overview, overview_text
from bench.store import Store

CPU = torch.device("cpu")


@pytest.fixture
def part(suite: dict[str, Any]) -> dict[str, Any]:
    suite |= {"seeds": 1, "sweep": [{"weighting": ["equal", "uncertainty"]}]}
    return suite


def test_what_is_there_and_what_is_left(part: dict[str, Any], tmp_path: Path) -> None:
    before = overview(plan(part), Store(tmp_path), CPU)
    assert [v["name"] for v in before["variants"]] == ["equal", "uncertainty"]
    assert [v["name"] for v in before["single_task"]] == ["single-task"]
    assert before["estimate"]["unknown"] == 3
    assert "3 train cells, 0 of them there" in overview_text(before)
    assert "no estimate" in overview_text(before)
    run(part, results=tmp_path, device="cpu")
    after = overview(plan({**part, "seeds": 2}), Store(tmp_path), CPU)
    states = [cell["status"] for v in after["variants"] for cell in v["cells"]]
    assert states == ["ok", None] * 2
    assert (after["estimate"]["alike"], after["estimate"]["unknown"]) == (3, 0)
    text = overview_text(after)
    assert "  equal (baseline): 1 of 2 there, " in text
    assert "trained for Δm only" in text
    assert "6 train cells, 3 of them there; 0 timing blocks" in text
    assert "time left: training about " in text
    assert "time left" not in overview_text(overview(plan(part), Store(tmp_path), CPU))


def test_failed_units_are_told_apart(suite: dict[str, Any], tmp_path: Path) -> None:
    suite |= {"seeds": 1, "sweep": [{"train.optimizer.lr": [1e5]}]}
    suite["train"]["optimizer"] = {"name": "sgd", "lr": 0.1}
    run(suite, results=tmp_path, device="cpu", workers=0)
    text = overview_text(overview(plan(suite), Store(tmp_path), CPU))
    assert "lr=100000: 1 of 1 there, 1 of them failed (--retry-failed)" in text


def test_it_is_json_and_the_identities_are_those_of_the_records(
    part: dict[str, Any], tmp_path: Path
) -> None:
    run(part, results=tmp_path, device="cpu")
    told = json.loads(json.dumps(overview(plan(part), Store(tmp_path), CPU)))
    units = {c["id"] for v in told["variants"] + told["single_task"] for c in v["cells"]}
    assert units == {path.stem for path in (tmp_path / "cells").glob("*.json")}


def test_the_number_of_parameters_is_that_of_the_model(
    part: dict[str, Any], tmp_path: Path
) -> None:
    frame = run(part, results=tmp_path, device="cpu").set_index("variant")
    told = overview(plan(part), Store(tmp_path), CPU)
    for variant in [*told["variants"], *told["single_task"]]:
        assert variant["parameters"] == frame.loc[variant["name"], "params"]


def test_the_family_is_told_where_the_suite_says_it(suite: dict[str, Any], tmp_path: Path) -> None:
    suite["sweep"] = [{"fusion": ["concat", "sum", "gated"]}]
    told = overview(plan(suite), Store(tmp_path), CPU)
    assert told["family"] == {"variants": ["concat", "sum", "gated"], "best_of": []}
    assert "verdict" not in overview_text(told)
    suite["family"] = {"except": {"fusion": "sum"}, "best": {"fusion": "sum"}}
    text = overview_text(overview(plan(suite), Store(tmp_path), CPU))
    assert "\n  concat (baseline): 0 of 2 there" in text
    assert "\n  sum (candidate for the best, no verdict): 0 of 2 there" in text
    assert "\n  gated: 0 of 2 there" in text


def test_skips_and_timing_are_told(suite: dict[str, Any], tmp_path: Path) -> None:
    suite |= {
        "sweep": [{"sharing": ["hard", "separate"], "weighting": ["equal", "uncertainty"]}],
        "timing": {"modes": ["train"], "batch_sizes": [8], "budget_s": 120},
    }
    text = overview_text(overview(plan(suite), Store(tmp_path), CPU))
    assert "  skipped: separate-uncertainty: 'uncertainty' has nothing to balance" in text
    assert "  train at batch size 8, 3 arms: to do" in text
    assert "timing at most 2 min" in text
