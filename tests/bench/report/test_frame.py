from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.errors import InputError
from bench.report.frame import flatten, load_frame, load_manifest, load_results
from bench.store import Store


def test_one_row_per_record_with_units_in_the_names(finished: Path) -> None:
    frame = load_frame(finished)
    train, time = frame[frame["kind"] == "train"], frame[frame["kind"] == "time"]
    assert len(train) == 2 * 2
    assert len(time) == 2 * 2
    assert list(frame.columns[:5]) == ["suite", "variant", "kind", "status", "reason"]
    assert set(frame["variant"]) == {"hard", "separate"}
    assert set(frame["status"]) == {"ok"}
    assert train["test.slant.accuracy"].between(0, 1).all()
    assert (train["train.steps"] == 2 * (209 // 32)).all()
    assert set(frame["config.model.sharing.name"]) == {"hard", "separate"}
    assert set(frame["config.tasks"]) == {"script+slant"}
    in_training = time[time["time.mode"] == "train"]
    assert (in_training["time.step_ms"] > in_training["time.backward_ms"]).all()
    assert in_training["time.seed"].empty if "time.seed" in frame else True
    assert (in_training[["samples_per_s", "peak_mib", "flops"]] > 0).all().all()
    assert in_training["time.block"].nunique() == 1


def test_rows_equal_the_records(finished: Path) -> None:
    frame = load_frame(finished)
    (variant, _) = load_manifest(finished)["variants"]
    entry = variant["train"][1]
    record = json.loads((finished.parent / "cells" / f"{entry['record']}.json").read_text())
    row = frame[(frame["variant"] == variant["name"]) & (frame["seed"] == entry["seed"])].iloc[0]
    assert row["test.script.accuracy"] == record["test"]["script"]["accuracy"]
    assert row["test.score"] == record["scores"]["test"]
    assert row["params"] == record["params"]


def test_a_record_that_is_gone_is_a_row_that_says_so(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    manifest = (finished / "manifest.json").read_text()
    (tmp_path / "small" / "manifest.json").write_text(manifest)
    frame = load_frame(tmp_path / "small")
    assert len(frame) == 8
    assert set(frame["status"]) == {"missing"}


def test_what_json_cannot_hold_is_missing_in_the_frame(finished: Path) -> None:
    assert pd.isna(load_frame(finished)["test.score"].iloc[-1])
    assert math.isnan(float(load_frame(finished)["seed"].iloc[-1]))


def test_a_record_is_read_once_however_many_variants_share_it(
    results: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    results.add("a", [0.1, 0.2], step_ms=(10, 9, 11))
    results.add("b", [0.1])
    results.variants[1]["time"] = results.variants[0]["time"]
    results.variants[1]["train"] = results.variants[0]["train"]
    folder = results.write()
    read: list[str] = []
    before = Store.read

    def counted(self: Store, identity: str) -> Any:
        read.append(identity)
        return before(self, identity)

    monkeypatch.setattr(Store, "read", counted)
    frame = load_frame(folder)
    assert len(frame) == 6
    assert sorted(read) == ["s000", "t000000", "t000001"]
    assert list(frame["time.step_ms"].dropna()) == [10, 10]


def test_units_and_curves_go_with_the_frame(results: Any) -> None:
    results.add("a", [0.4, "it broke"], step_ms=(10, 9, 11))
    results.variants[0]["train"].append({"seed": 7, "record": "nowhere"})
    found = load_results(results.write())
    assert [(u.what, u.status, u.reason, u.log) for u in found.units] == [
        ("seed 0", "ok", "", ""),
        ("seed 1", "error", "it broke", "logs/t000001.log"),
        ("seed 7", "missing", "not run yet", ""),
        ("train step at batch size 64", "ok", "", ""),
    ]
    assert [unit.status for unit in found.units] == list(found.frame["status"])
    assert found.curves.to_dict("list") == {
        "variant": ["a", "a"],
        "seed": [0, 0],
        "epoch": [1, 2],
        "val.score": [0.2, 0.4],
    }


def test_flatten() -> None:
    nested = {"a": {"b": 1, "c": {"d": None}}, "e": ["x", "y"]}
    assert flatten(nested, "config") == {
        "config.a.b": 1,
        "config.a.c.d": None,
        "config.e": "x+y",
    }


def test_a_folder_without_results(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no results of a suite here"):
        load_frame(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="not a manifest"):
        load_frame(tmp_path)
