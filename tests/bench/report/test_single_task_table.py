"""The table that sets each task against learning it alone."""

from __future__ import annotations

from bench.compare import Comparison
from bench.report.table import single_task_table
from tests.bench.report.comparisons import BASE, WORSE, comparison, records


def test_single_task_table(small: Comparison) -> None:
    assert single_task_table(small) == (
        "variant                     script  Δm per task      Δm flat\n"
        "                       gain points       gain %       drop %\n"
        "───────  ─────────────────────────  ───────────  ───────────\n"
        "concat   +10.0 [+7.5, +12.5] helps  +20.7 ±13.2  -20.7 ±13.2\n"
    )


def test_gains_are_told_where_a_single_task_run_is_at_0_and_delta_m_unknown() -> None:
    rows = [*records("concat", (0.2, 0.3, 0.4)), *records("alone", (0.0, 0.0, 0.0))]
    told = single_task_table(comparison(rows, concat="alone")).splitlines()[-1]
    assert told.split() == ["concat", "+30.0", "[+5.2,", "+54.8]", "helps", "–", "–"]


def test_single_task_table_says_what_hurts_and_nothing_of_what_is_unclear() -> None:
    def told(scores: tuple[float, ...]) -> str:
        rows = [*records("concat", scores), *records("alone", BASE)]
        return single_task_table(comparison(rows, concat="alone")).splitlines()[-1]

    assert "-10.0 [-12.5, -7.5] hurts" in told(WORSE)
    unclear = told((0.51, 0.58, 0.72))
    assert "helps" not in unclear
    assert "hurts" not in unclear
