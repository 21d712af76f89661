from __future__ import annotations

from bench.report.settings import ABSENT, differences, full_name, value_at, value_name, without

BASE = {
    "model": {"fusion": {"name": "concat"}, "encoders": {"a": {"name": "x", "width": 1}}},
    "train": {"lr": 0.1, "clip": None},
    "tasks": ["s", "t"],
}


def test_values_by_dotted_path() -> None:
    assert value_at(BASE, "train.lr") == 0.1
    assert value_at(BASE, "train.clip") is None
    assert value_at(BASE, "model.fusion") == {"name": "concat"}
    assert value_at(BASE, "model.fusion.rank") is ABSENT
    assert value_at(BASE, "tasks.s") is ABSENT


def test_without_a_setting_the_rest_stays() -> None:
    assert without(BASE, "train.lr")["train"] == {"clip": None}
    assert without(BASE, "tasks") == {key: BASE[key] for key in ("model", "train")}
    assert without(BASE, "nothing.here") == BASE
    assert BASE["train"] == {"lr": 0.1, "clip": None}


def test_differences_end_at_a_component_of_another_name() -> None:
    changed = {
        "model": {
            "fusion": {"name": "lowrank", "rank": 4},
            "encoders": {"a": {"name": "x", "width": 2}},
        },
        "train": {"lr": 0.1, "clip": 1.0},
        "tasks": ["s"],
    }
    assert differences(BASE, changed) == [
        *("model.fusion", "model.encoders.a.width", "train.clip", "tasks")
    ]
    assert differences(BASE, BASE) == []
    assert differences(BASE, {**BASE, "seed": 1}) == ["seed"]


def test_names_of_values() -> None:
    four, eight = {"name": "lowrank", "rank": 4}, {"name": "lowrank", "rank": 8}
    assert value_name(four) == "lowrank"
    assert value_name(four, [four, eight]) == "lowrank (rank 4)"
    assert value_name(["image", "text"]) == "image+text"
    assert value_name([0.5, 1.5]) == "[0.5, 1.5]"
    assert value_name(None) == "null"
    assert value_name(ABSENT) == "–"
    assert full_name(four) == "lowrank (rank 4)"
    assert full_name({"name": "concat"}) == "concat"
