"""Parts against the baseline's, from profiles and times made by hand."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from bench.report.analysis import Analysis, analyse
from bench.report.parts import BACKWARD, FORWARD
from bench.report.ratios import printed_ratios, ratio_notes
from bench.report.tables import full_tables, printed_tables
from bench.report.write import write_report

WORK = [
    *(("encoders.image.a", FORWARD, 20.0), ("encoders.image.b", FORWARD, 10.0)),
    *(("encoders.text", FORWARD, 10.0), ("encoders.image.a", BACKWARD, 60.0)),
    *(("fusion", BACKWARD, 40.0), ("zero_grad", "other", 5.0)),
]


@pytest.fixture
def analysis(results: Any) -> Analysis:
    """The baseline, one twice as slow with a part more and one less, one that was not timed."""
    results.add("base", [0.5], step_ms=(30.0, 29.0, 31.0))
    results.profile(WORK, straggler_ratio=1.5)
    results.add("slow", [0.5], step_ms=(60.0, 59.0, 61.0))
    results.profile([*WORK[:4], ("own", BACKWARD, 60.0)])
    results.add("untimed", [0.5])
    results.profile([("encoders.a", FORWARD, 4.0), ("encoders.b", FORWARD, 4.0)], straggler_ratio=1)
    results.add("none", [0.5], step_ms=(30.0, 29.0, 31.0))
    return analyse(results.write())


def test_a_part_is_divided_by_that_of_the_baseline(analysis: Analysis) -> None:
    ratios = analysis.ratios.set_index("variant").filter(like="ratio.")
    assert list(ratios.index) == ["base", "slow", "untimed"]
    # Forward 15 ms and backward 10 ms of the baseline: image 11.25 + 6, text 3.75.
    assert set(ratios.columns) == {"ratio.encoders.image", "ratio.encoders.text", "ratio.fusion"}
    assert (ratios.loc["base"] == 1.0).all()
    slow = ratios.loc["slow"].dropna().to_dict()
    assert slow == pytest.approx(
        {"ratio.encoders.image": (22.5 + 10) / (11.25 + 6), "ratio.encoders.text": 2.0}
    )
    assert ratios.loc["untimed"].isna().all()


def test_ratios_hold_within_a_block_only(results: Any) -> None:
    for name in ("base", "elsewhere"):
        results.add(name, [0.5], step_ms=(30.0, 29.0, 31.0))
        results.profile(WORK)
    analysis = analyse(results.write())
    frame = analysis.results.frame
    frame.loc[(frame["variant"] == "elsewhere") & (frame["kind"] == "time"), "time.block"] = "b9"
    ratios = analysis.ratios.set_index("variant").filter(like="ratio.")
    assert ratios.loc["base"].notna().all()
    assert ratios.loc["elsewhere"].isna().all()


def test_the_slowest_encoder_is_as_the_profile_says(analysis: Analysis) -> None:
    straggler = analysis.ratios.set_index("variant")["straggler_ratio"]
    assert straggler.drop("slow").to_dict() == {"base": 1.5, "untimed": 1.0}
    assert math.isnan(straggler["slow"])  # older profiles do not say


def test_the_table_says_a_dash_for_what_is_not_known(analysis: Analysis) -> None:
    columns = {column.heading: column.cells for column in printed_ratios(analysis.ratios)}
    assert columns == {
        "variant": ("base", "slow", "untimed"),
        "encoders.image\nratio": ("1.00", "1.88", "–"),
        "encoders.text\nratio": ("1.00", "2.00", "–"),
        "fusion\nratio": ("1.00", "–", "–"),
        "slowest encoder\nto their mean": ("1.50", "–", "1.00"),
    }
    about_parts, about_encoders = ratio_notes(analysis.ratios)
    assert "no intervals" in about_parts
    assert "Slowest encoder" in about_encoders


def test_the_page_and_the_tables_have_it(analysis: Analysis) -> None:
    folder = analysis.results.folder
    write_report(folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Parts against the baseline" in page
    assert 'id="table-ratios"' in page
    written = pd.read_csv(folder / "tables" / "ratios.csv")
    pd.testing.assert_frame_equal(written, analysis.ratios)


@pytest.mark.parametrize("profiled", [False, True])
def test_no_table_where_nothing_can_be_said(results: Any, profiled: bool) -> None:
    results.add("base", [0.5])
    if profiled:  # one part and no times
        results.profile([("model", FORWARD, 1.0)])
    analysis = analyse(results.write())
    assert "ratios" not in printed_tables(analysis)
    assert "ratios" not in full_tables(analysis)
    assert list(ratio_notes(analysis.ratios)) == []
