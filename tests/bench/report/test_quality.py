"""The quality of measurements, from records made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from bench.report.analysis import Analysis, analyse
from bench.report.quality import printed_quality, quality_notes
from bench.report.tables import full_tables, printed_tables
from bench.report.write import write_report

WORK = [("model", "forward", 1.0), ("model", "backward", 3.0)]


@pytest.fixture
def analysis(results: Any) -> Analysis:
    """Both measurements, each alone, none."""
    results.add("both", [0.5], step_ms=(30.0, 29.4, 30.6))
    results.profile(WORK, overhead=1.5, unattributed_share=0.031)
    results.add("profiled", [0.5])
    results.profile(WORK)
    results.add("timed", [0.5], step_ms=(10.0, 9.0, 11.0))
    results.add("none", [0.5])
    return analyse(results.write())


def test_a_row_says_how_both_measurements_came_about(analysis: Analysis) -> None:
    table = analysis.quality.set_index("variant")
    assert list(table.index) == ["both", "profiled", "timed"]
    both = table.loc["both"].to_dict()
    assert both.pop("stop") == "budget"
    assert both == pytest.approx(
        {
            "overhead": 1.5,
            "profiled_steps": 5,
            "unattributed_share": 0.031,
            "timed_steps": 50,
            "rounds": 8,
            "half_width": 0.02,
            "iqr_share": 0.04,
            "unstable_share": 0.25,
            "flagged_share": 0.0,
        }
    )
    assert table.loc["profiled", "timed_steps":].isna().all()
    assert table.loc["timed", :"unattributed_share"].isna().all()
    assert table.at["timed", "half_width"] == pytest.approx(0.1)


def test_a_timing_is_that_of_the_profiled_step(results: Any) -> None:
    results.add("base", [0.5], step_ms=(30.0, 29.4, 30.6))
    results.also_timed(256, 4000.0)
    results.profile(WORK, batch_size=256)
    results.add("other", [0.5], step_ms=(30.0, 29.4, 30.6))
    results.also_timed(256, 4000.0)
    half = analyse(results.write()).quality.set_index("variant")["half_width"]
    assert half.to_dict() == pytest.approx({"base": 1 / 9, "other": 0.02})


def test_the_table_is_for_a_reader(analysis: Analysis) -> None:
    columns = {column.heading: column.cells for column in printed_quality(analysis.quality)}
    assert columns == {
        "variant": ("both", "profiled", "timed"),
        "profiler\nslows down ×": ("1.50", "1.25", "–"),
        "profiled\nsteps": ("5", "5", "–"),
        "belongs to\nno part %": ("3.1", "1.0", "–"),
        "timed\nsteps": ("50", "–", "50"),
        "rounds": ("8", "–", "8"),
        "step ±\n%": ("2.0", "–", "10.0"),
        "interquartile\nrange %": ("4.00", "–", "4.00"),
        "warm-up not\nsettled %": ("25", "–", "25"),
        "machine\ndisturbed %": ("0", "–", "0"),
        "timing\nended": ("budget", "–", "budget"),
    }
    assert len(list(quality_notes(analysis.quality))) == 2
    folder = analysis.results.folder
    write_report(folder)
    assert "Quality of each measurement" in (folder / "report.html").read_text(encoding="utf-8")
    assert (folder / "tables" / "quality.csv").exists()


def test_no_table_where_nothing_was_measured(results: Any) -> None:
    results.add("base", [0.5])
    analysis = analyse(results.write())
    assert "quality" not in printed_tables(analysis)
    assert "quality" not in full_tables(analysis)
    assert list(quality_notes(analysis.quality)) == []
