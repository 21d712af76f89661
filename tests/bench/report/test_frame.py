from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.api import run
from bench.errors import InputError
from bench.report.frame import flatten, load_frame, load_manifest, load_results
from bench.report.write import load_comparison, write_report
from bench.store import Store

PLAIN = [
    *("train.seconds", "train.steps", "train.samples"),
    *("train.epoch.script", "train.epoch.slant"),
]


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
    before = Store.look

    def counted(self: Store, identity: str) -> Any:
        read.append(identity)
        return before(self, identity)

    monkeypatch.setattr(Store, "look", counted)
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


def gradients(norms: dict[str, float], cosines: Any, **rate: float) -> dict[str, Any]:
    return {"gradients": {"norms": norms, "cosines": cosines, **rate}}


def test_weights_are_of_the_last_epoch_and_gradients_means_over_all(results: Any) -> None:
    first = gradients({"a": 4.0, "b": 2.0}, {"a": {"b": -0.5}}, conflict_rate=1.0)
    third = gradients(
        {"a": 6.0, "b": 2.0, "c": 1.0},
        {"a": {"b": 0.25, "c": 0.5}, "b": {"c": 0.0}},
        conflict_rate=0.2,
    )
    alone = gradients({"a": 8.0}, {})  # no second task had a label
    none = gradients({}, {})
    results.dynamics = [
        {"weights": {"a": 1.0, "b": 1.0}, **first},
        {"weights": {"a": 1.5, "b": 0.5}, **third},
        {"weights": {"a": 1.25, "b": 0.75}, **alone},
        {"weights": {"a": 1.25, "b": 0.75}, **none},
    ]
    results.add("base", [0.5])
    (row,) = load_frame(results.write()).to_dict("records")
    found = {str(k): x for k, x in row.items() if str(k).startswith("train.") and k not in PLAIN}
    assert found == pytest.approx(
        {
            "train.weight.a": 1.25,
            "train.weight.b": 0.75,
            "train.gradient_norm.a": 6.0,
            "train.gradient_norm.b": 2.0,
            "train.gradient_norm.c": 1.0,
            "train.norm_ratio": (2.0 + 6.0) / 2,
            "train.conflict_rate": 0.6,
            "train.gradient_cosine": (-0.5 + 0.25) / 2,
            "train.gradient_cosine.a.b": -0.125,
            "train.gradient_cosine.a.c": 0.5,
            "train.gradient_cosine.b.c": 0.0,
        }
    )


def test_a_record_without_weights_or_diagnostics_has_no_columns_of_them(results: Any) -> None:
    results.add("base", [0.5])
    frame = load_frame(results.write())
    assert {name for name in map(str, frame) if name.startswith("train.")} == set(PLAIN)


def test_diagnostics_of_a_run_are_in_the_frame(suite: dict[str, Any], tmp_path: Path) -> None:
    del suite["sweep"]
    suite |= {"seeds": 1, "weighting": "mgda"}
    suite["train"] |= {"diagnostics": 3, "epochs": 1}
    frame = run(suite, results=tmp_path, workers=0)
    (row,) = frame[frame["variant"] == frame["variant"].iloc[0]].to_dict("records")
    assert row["train.fallbacks"] == 0
    assert row["train.weight.script"] + row["train.weight.slant"] == pytest.approx(1)
    assert -1 <= row["train.gradient_cosine.script.slant"] <= 1
    assert row["train.gradient_cosine"] == row["train.gradient_cosine.script.slant"]
    assert row["train.norm_ratio"] >= 1
    assert 0 <= row["train.conflict_rate"] <= 1
    assert min(row["train.gradient_norm.script"], row["train.gradient_norm.slant"]) > 0


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
    (tmp_path / "manifest.json").write_text(json.dumps({"schema_version": 2}))
    with pytest.raises(InputError, match=r"manifest\.json: .*: run the suite again"):
        load_frame(tmp_path)


@pytest.mark.parametrize("place", [".", "figures"])
def test_a_folder_without_a_name_is_the_one_it_leads_to(
    results: Any, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    results.add("a", [0.4, 0.5])
    folder = results.write()
    (folder / "figures").mkdir()
    monkeypatch.chdir(folder / place)
    found = load_results("." if place == "." else "..")
    assert list(found.frame["status"]) == ["ok", "ok"]
    assert (found.folder.name, found.folder.parent) == ("demo", results.root)
    write_report("." if place == "." else "..")
    assert (results.root / "index.html").exists()
    assert not (folder / "index.html").exists()


def test_a_record_that_cannot_be_used_says_why(results: Any) -> None:
    results.add("a", [0.4, 0.5, 0.6, 0.7], step_ms=(10, 9, 11))
    cells = results.root / "cells"
    newer = json.loads((cells / "t000001.json").read_text()) | {"schema_version": 99}
    (cells / "t000001.json").write_text(json.dumps(newer))
    (cells / "t000002.json").write_text("{")
    short = json.loads((cells / "s000.json").read_text())
    (cells / "s000.json").write_text(json.dumps({k: short[k] for k in ("schema_version", "id")}))
    folder = results.write()
    frame = load_frame(folder)
    assert list(frame["status"]) == ["ok", "unusable", "unusable", "ok", "unusable"]
    assert frame["reason"].str.startswith("its record cannot be used: ").sum() == 3
    assert "99" in frame["reason"][1]
    write_report(folder, ["md", "html"])
    for name in ("report.md", "report.html"):
        text = (folder / name).read_text(encoding="utf-8")
        assert text.count("its record cannot be used") == 3
        assert "not run yet" not in text


def round_samples(steps_ms: list[list[float]], status: str = "ok") -> dict[str, Any]:
    """An arm's samples, a list of steps a round, each step half forward, half backward."""
    steps = [step for of_round in steps_ms for step in of_round]
    return {
        "phases": ["forward", "backward"],
        "phase_ms": [[step / 2, step / 2] for step in steps],
        "rounds": [number for number, of_round in enumerate(steps_ms) for _ in of_round],
        "status": status,
    }


def timed(results: Any, identity: str, **more: Any) -> None:
    path = results.root / "cells" / f"{identity}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | more))


def test_rounds_and_the_reference_arm_go_with_the_frame(results: Any) -> None:
    results.add("a", [0.4], step_ms=(10, 9, 11))
    results.add("b", [0.5], step_ms=(20, 19, 21))
    results.add("older", [0.6], step_ms=(20, 19, 21))
    fixed = round_samples([[2, 2], [8]])
    timed(results, "s000", samples=round_samples([[10, 12, 90], [11, 13]]), reference=fixed)
    lost = round_samples([[2]], status="error")
    timed(results, "s001", samples=round_samples([[20, 22, 24], [30]]), reference=lost)
    found = load_results(results.write())
    assert found.rounds.to_dict("list") == {
        "variant": ["a", "a", "b", "b"],
        "block": ["b1"] * 4,
        "round": [0, 1, 0, 1],
        "step_ms": [12, 12, 22, 30],
    }
    times = found.frame[found.frame["kind"] == "time"]["time.reference_ms"]
    assert list(times.fillna(-1)) == [pytest.approx(4.0), -1, -1]
    table = load_comparison(results.folder).table
    columns = ("step_ratio", "step_ratio_lo", "step_ratio_hi")
    ratio, lo, hi = (table[name].to_list()[1:] for name in columns)
    # ln(22/12) and ln(30/12); t(1) at 97.5 % is 12.7062. Without samples: of the summaries.
    half = 12.7062 * math.log(30 / 22) / 2
    assert ratio == [pytest.approx(math.sqrt(22 * 30) / 12), 2.0]
    assert (lo[0], hi[0]) == pytest.approx((ratio[0] / math.exp(half), ratio[0] * math.exp(half)))
    assert math.isnan(lo[1])
    assert list(table["step_verdict"]) == ["baseline", "unclear", "unclear"]
    write_report(results.folder, ["md"])
    shown = f"| {ratio[0]:.2f} [{lo[0]:.2f}, {hi[0]:.2f}] |"
    assert shown in (results.folder / "report.md").read_text(encoding="utf-8")
