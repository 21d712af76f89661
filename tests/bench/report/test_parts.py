"""What parts cost, from profiles made by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bench.report.analysis import Analysis, analyse
from bench.report.parts import (
    BACKWARD,
    FORWARD,
    group_of,
    kinds_table,
    ordered_groups,
    part_columns,
    part_notes,
    part_table,
    printed_kinds,
    printed_parts,
    with_groups,
)
from bench.report.tables import full_tables

WORK: list[tuple[str, str, float]] = [
    ("encoders.image.conv1", FORWARD, 10.0),
    ("encoders.image.conv2", FORWARD, 20.0),
    ("encoders.image.conv1", BACKWARD, 40.0),
    ("encoders.image.conv2", BACKWARD, 50.0),
    ("encoders.text.embedding", FORWARD, 5.0),
    ("fusion", FORWARD, 3.0),
    ("fusion", BACKWARD, 6.0),
    ("heads.a", FORWARD, 1.0),
    ("heads.b", FORWARD, 2.0),
    ("loss.a", FORWARD, 4.0),
    ("weighting", "other", 7.0),
    ("weighting", BACKWARD, 2.0),
    ("grad_accumulate", BACKWARD, 1.0),
    ("unattributed", FORWARD, 0.5),
    ("unattributed", "other", 0.25),
    ("zero_grad", "other", 0.75),
    ("clip", "other", 0.5),
    ("optimizer", "optimizer", 9.0),
]


def profile_of(work: list[tuple[str, str, float]]) -> dict[str, Any]:
    whole = sum(us for _, _, us in work)
    parts = [{"part": p, "direction": d, "us": us, "share": us / whole} for p, d, us in work]
    summary = {"steps": 5, "unattributed_share": 0.01, "parts": parts, "notes": []}
    return {
        "batch_size": 64,
        "device_name": "a GPU",
        "overhead": 1.25,
        "summary": {**summary, "kinds": {"gemm": 0.7, "copy": 0.3}},
    }


PROFILE = profile_of(WORK)
ROW: dict[str, Any] = {
    "status": "ok",
    "time.mode": "train",
    "time.batch_size": 64,
    "time.device_name": "a GPU",
    "time.forward_ms": 3.0,
    "time.backward_ms": 8.0,
    "time.solver_ms": math.nan,
    "time.optimizer_ms": 0.5,
}
STAGES = ("encoders.image.conv1", "encoders.image.conv2", "encoders.text.embedding")


def costs(direction: str, columns: dict[str, float]) -> dict[str, float]:
    """By part; the whole of an encoder left out, which is in its stages."""
    end = f".{direction}_ms"
    found = {
        name.removeprefix("cost.").removesuffix(end): value
        for name, value in columns.items()
        if name.endswith(end)
    }
    assert found.keys() <= {part for part, _, _ in WORK} | {"encoders.image", "encoders.text"}
    return {part: v for part, v in found.items() if part not in ("encoders.image", "encoders.text")}


@pytest.mark.parametrize("solver", [math.nan, 2.5])
def test_parts_sum_to_the_phases(solver: float) -> None:
    columns = part_columns(PROFILE, {**ROW, "time.solver_ms": solver})
    assert math.fsum(costs(FORWARD, columns).values()) == pytest.approx(3.0, rel=1e-12)
    backward = math.fsum(costs(BACKWARD, columns).values())
    assert backward == pytest.approx(8.0 if math.isnan(solver) else 10.5, rel=1e-12)
    assert columns["cost.optimizer.optimizer_ms"] == 0.5


def test_a_row_without_a_solver_is_one_whose_solver_took_nothing() -> None:
    row = {key: value for key, value in ROW.items() if key != "time.solver_ms"}
    assert part_columns(PROFILE, row) == part_columns(PROFILE, ROW)


def test_a_part_has_its_share_of_its_direction() -> None:
    columns = part_columns(PROFILE, ROW)
    assert columns["cost.fusion.forward_ms"] == pytest.approx(3.0 * 3 / 45.5)
    assert columns["cost.fusion.backward_ms"] == pytest.approx(8.0 * 6 / 106)


def test_stages_add_up_to_their_encoder() -> None:
    columns = part_columns(PROFILE, ROW)
    for direction in (FORWARD, BACKWARD):
        stages = sum(columns[f"cost.{stage}.{direction}_ms"] for stage in STAGES[:2])
        assert columns[f"cost.encoders.image.{direction}_ms"] == pytest.approx(stages, rel=1e-12)
    of = "cost.encoders.text"
    assert columns[f"{of}.forward_ms"] == columns[f"{of}.embedding.forward_ms"]
    assert f"{of}.backward_ms" not in columns


def test_finding_weights_is_backward_work() -> None:
    columns = part_columns(PROFILE, ROW)
    assert columns["cost.weighting.backward_ms"] == pytest.approx(8.0 * 9 / 106)
    assert not [name for name in columns if name.startswith("cost.weighting.o")]
    assert not [name for name in columns if "zero_grad" in name or "clip" in name]


@pytest.mark.parametrize(
    "other",
    [
        {"time.device_name": "another GPU"},
        {"time.batch_size": 32},
        {"time.mode": "forward"},
        {"status": "oom"},
    ],
)
def test_times_of_something_else_have_no_parts(other: dict[str, Any]) -> None:
    assert part_columns(PROFILE, ROW | other) == {}


def test_no_profile_no_columns_nor_rows_nor_notes() -> None:
    assert part_columns(None, ROW) == {}
    assert part_columns(PROFILE, {"status": "ok", "kind": "train"}) == {}
    assert list(part_notes({})) == []
    assert len(kinds_table({})) == 0
    assert printed_kinds(kinds_table({})) == []


def test_groups() -> None:
    assert group_of("encoders.image.conv1") == group_of("encoders.image") == "encoders.image"
    assert group_of("heads.a") == "heads.a"
    assert group_of("trunk.encoders.x") == "trunk.encoders.x"
    shown = ["rest", "optimizer", "own", "heads", "fusion", "encoders.b", "encoders.a", "own"]
    assert ordered_groups(shown) == [
        *("encoders.a", "encoders.b", "own", "fusion", "heads", "optimizer", "rest"),
    ]


@pytest.fixture
def half_timed(results: Any) -> Analysis:
    """One profiled variant with times, one without, one without a profile."""
    results.add("base", [0.5], step_ms=(30.0, 29.0, 31.0))
    results.profile([one for one in WORK if one[0] != "optimizer"])
    results.add("bare", [0.6])
    results.profile([("model", FORWARD, 1.0), ("model", BACKWARD, 3.0)])
    results.add("none", [0.6])
    return analyse(results.write())


def test_the_table_of_parts_has_shares_and_where_timed_ms(half_timed: Analysis) -> None:
    table = half_timed.parts
    assert list(table.columns) == ["variant", "part", "group", "direction", "share", "us", "ms"]
    assert table.groupby("variant")["share"].sum().to_dict() == pytest.approx(
        {"base": 1.0, "bare": 1.0}
    )
    timed = table[(table["variant"] == "base") & table["ms"].notna()]
    sums = timed.groupby("direction")["ms"].max().to_dict()
    assert set(sums) == {FORWARD, BACKWARD}
    assert timed[timed["direction"] == FORWARD]["ms"].sum() == pytest.approx(15.0)
    assert table[table["variant"] == "bare"]["ms"].isna().all()


def test_a_part_in_two_directions_that_are_one_counts_once(half_timed: Analysis) -> None:
    table = half_timed.parts
    backward = table[(table["variant"] == "base") & (table["direction"] == BACKWARD)]
    assert backward["ms"].sum() == pytest.approx(10.0)
    assert set(backward["part"]) >= {"weighting", "grad_accumulate"}


def test_ms_are_shown_only_where_all_were_timed(half_timed: Analysis) -> None:
    table = half_timed.parts
    assert with_groups(table)[1] == "% of work"
    timed = table[table["variant"] == "base"]
    assert with_groups(timed)[1] == "ms"
    columns = {column.heading: column for column in printed_parts(timed)}
    assert list(columns) == [
        "variant",
        "encoders.image\nms",
        "encoders.text\nms",
        "fusion\nms",
        "heads\nms",
        "losses\nms",
        "weighting\nms",
        "rest\nms",
    ]
    values = sum(column.values[0] for name, column in columns.items() if name != "variant")
    assert values == pytest.approx(15.0 + 10.0)
    assert " + " in columns["encoders.image\nms"].cells[0]


def test_what_a_variant_has_not_is_a_dash(half_timed: Analysis) -> None:
    columns = {c.heading.split("\n")[0]: c.cells for c in printed_parts(half_timed.parts)}
    assert columns["variant"] == ("base", "bare")
    assert columns["model"] == ("–", "25.0 + 75.0")
    assert columns["fusion"][1] == "–"


def test_the_frame_has_the_columns_in_the_rows_of_timings(half_timed: Analysis) -> None:
    frame = half_timed.results.frame.set_index(["variant", "kind"])
    column = frame["cost.encoders.image.forward_ms"]
    assert column["base", "time"] == pytest.approx(15.0 * 30 / 45.5)
    assert column.drop(("base", "time")).isna().all()


def test_kinds_that_no_variant_has_are_no_column(half_timed: Analysis) -> None:
    table = kinds_table(half_timed.results.profiles)
    assert list(table.columns) == ["variant", "gemm", "copy"]
    cells = {column.heading: column.cells for column in printed_kinds(table)}
    assert cells == {
        "variant": ("base", "bare"),
        "gemm\n%": ("75.0",) * 2,
        "copy\n%": ("25.0",) * 2,
    }
    assert {"parts", "kinds"} <= set(full_tables(half_timed))


def test_notes_say_how_far_the_numbers_go(results: Any) -> None:
    note = {"kind": "compiled", "text": "compiled regions count whole"}
    for i in range(5):
        results.add(f"v{i}", [0.5])
        results.profile(
            WORK, overhead=1.0 + i / 10, unattributed_share=i / 100, notes=[note] if i else []
        )
    first, second = part_notes(analyse(results.write()).results.profiles)
    assert "5 profiled steps on a CPU" in first
    assert "slows it down 1.00 to 1.40 times" in first
    assert "0.0 to 4.0 % of the work belongs to no part" in first
    assert second == "Parts of v1, v2, v3 and 1 more: compiled regions count whole."


def test_a_profile_without_any_work_in_a_direction() -> None:
    columns = part_columns(profile_of([("model", FORWARD, 2.0)]), ROW)
    assert columns == {"cost.model.forward_ms": pytest.approx(3.0)}


def test_no_rows_without_profiles(half_timed: Analysis) -> None:
    assert len(part_table({}, half_timed.results.frame)) == 0
    assert printed_parts(part_table({}, half_timed.results.frame)) == []
