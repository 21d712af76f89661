from __future__ import annotations

import csv
import io
import math
from dataclasses import replace

import pandas as pd
import pytest

from bench.compare import Comparison, compare
from bench.report.columns import Column
from bench.report.notes import notes
from bench.report.table import (
    accuracy_table,
    aligned,
    cost_table,
    markdown,
    to_csv,
    to_markdown,
)
from tests.bench.report.comparisons import BASE, WORSE, Metric, comparison, records, timing


def test_accuracy_table(small: Comparison) -> None:
    assert accuracy_table(small) == (
        "variant    n      script       score           difference  pairs      p  verdict\n"
        "              accuracy %           %               points          Holm\n"
        "───────  ───  ──────────  ──────────  ───────────────────  ─────  ─────  ────────────────"
        "───\n"
        "concat     3  60.0 ±24.8  60.0 ±24.8                    –      –      –  baseline\n"
        "a|b c      3  50.0 ±26.2  50.0 ±26.2  -10.0 [-12.5, -7.5]      3  0.007  worse\n"
        "lost     0/2           –           –                    –      –      –  –\n"
        "film     2/3  55.1 ±63.5  55.1 ±63.5             +0.1 [–]      2  0.500  not "
        "distinguishable\n"
    )


def test_cost_table(small: Comparison) -> None:
    assert cost_table(small) == (
        "variant  params  FLOPs  forward  backward  step   step  step      samples/s  peak\n"
        "                             ms        ms    ms  ratio  verdict               MiB\n"
        "───────  ──────  ─────  ───────  ────────  ────  ─────  ────────  ─────────  ────\n"
        "concat    1.2 M  3.4 G   0.0123      25.1  40.0   1.00  baseline      12300   100\n"
        "a|b c     1.2 M  3.4 G   0.0123      25.1  1230  30.85  unclear       12300   100\n"
        "lost          –      –        –         –     –      –  –                 –     –\n"
        "film      1.2 M      –        –         –     –      –  –                 –     –\n"
    )


def test_markdown_tables(small: Comparison) -> None:
    accuracy, single_task, cost, _ = to_markdown(small).split("\n\n")
    assert accuracy == (
        "| variant | n | script accuracy % | score % | difference points | pairs | p Holm "
        "| verdict |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n"
        "| concat | 3 | 60.0 ±24.8 | 60.0 ±24.8 | – | – | – | baseline |\n"
        "| a\\|b c | 3 | 50.0 ±26.2 | 50.0 ±26.2 | -10.0 [-12.5, -7.5] | 3 | 0.007 | worse |\n"
        "| lost | 0/2 | – | – | – | – | – | – |\n"
        "| film | 2/3 | 55.1 ±63.5 | 55.1 ±63.5 | +0.1 [–] | 2 | 0.500 | not distinguishable |"
    )
    assert single_task == (
        "| variant | script gain points | Δm per task gain % | Δm flat drop % |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| concat | +10.0 [+7.5, +12.5] helps | +20.7 ±13.2 | -20.7 ±13.2 |"
    )
    assert cost.splitlines()[0] == (
        "| variant | params | FLOPs | forward ms | backward ms | step ms | step ratio "
        "| step verdict | samples/s | peak MiB |"
    )
    assert cost.splitlines()[2] == (
        "| concat | 1.2 M | 3.4 G | 0.0123 | 25.1 | 40.0 | 1.00 | baseline | 12300 | 100 |"
    )


def test_notes_say_what_the_numbers_mean(small: Comparison) -> None:
    found = notes(small)
    assert to_markdown(small).endswith("\n\n" + "".join(f"- {markdown(note)}\n" for note in found))
    text = "\n".join(found)
    for fact in (
        "n: seeds that finished (0 to 3)",
        "95 % Student t over seeds",
        "training noise on one split and one test set",
        "Difference: score minus that of concat, paired by seed",
        "Holm-adjusted p of the paired t-test is below 0.05",
        "Holm family: 2 tests.",
        "probability 0.8: 4.6 points (median over the family, at level 0.05/2)",
        "[–]: the difference was the same for every seed",
        "Helps, hurts: the 95 % t interval of a task's gain",
        "Δm per task (Maninis et al., 2019)",
        "positive = better",
        "Δm flat (CAGrad, Nash-MTL, FAMO)",
        "positive = WORSE",
        "typical of the timing rounds, at batch size 256",
    ):
        assert fact in text
    assert "bootstrap" not in text


@pytest.mark.parametrize(("share", "told"), [(0.1, False), (0.25, True)])
def test_notes_tell_what_the_machine_did(small: Comparison, share: float, told: bool) -> None:
    bound = (small.table["variant"] == "concat").astype(float)
    table = small.table.assign(flagged_share=share, launch_bound=bound * told)
    text = "\n".join(notes(replace(small, table=table)))
    assert ("in up to 25 % of the rounds" in text) == told
    assert ("Launch-bound" in text) == told
    assert ("device's own): concat." in text) == told


def test_a_plain_suite_gets_no_empty_columns_and_no_notes_on_them() -> None:
    plain = comparison([*records("concat", BASE), *records("film", WORSE)])
    assert cost_table(plain).split() == [
        *("variant", "params", "───────", "──────", "concat", "1.2", "M", "film", "1.2", "M")
    ]
    text = to_markdown(plain)
    for absent in ("Δm", "hurts", "Times", "pairs |", "[–]", "bootstrap"):
        assert absent not in text
    assert "Holm family: 1 test." in text


def test_a_difference_that_rounds_to_zero_has_no_minus() -> None:
    less = tuple(score - 0.0001 * seed for seed, score in enumerate(BASE))
    text = accuracy_table(comparison([*records("concat", BASE), *records("film", less)]))
    assert "+0.0 [+0.0, +0.0]" in text


def test_ten_pairs_add_sign_flip_and_bootstrap_to_markdown() -> None:
    base = tuple(0.50 + 0.01 * (seed % 3) for seed in range(10))
    more = tuple(score + 0.02 + 0.001 * seed for seed, score in enumerate(base))
    text = to_markdown(comparison([*records("concat", base), *records("film", more)]))
    assert "| verdict | p sign flip | difference bootstrap |" in text
    assert "| better | 0.002 | +2.5 [+2." in text
    assert "p sign flip (exact, unadjusted)" in text


def test_the_terminal_tables_fit_100_columns() -> None:
    tasks = ("script", "category", "family")
    name = "fusion=lowrank,sharing=separate,weighting=uncertainty"
    wide = comparison(
        [
            *records("concat", BASE, tasks),
            *records(name, tuple(score - 0.2 - score**2 / 9 for score in BASE), tasks),
            {**timing("concat", 40.0), "time.inference_ms": 1.5},
            {**timing(name, 1234.0), "time.inference_ms": 1.5},
            {**timing(name, 1234.0), "time.mode": "inference", "time.inference_ms": 1.5},
        ],
        **{name: "concat"},
    )
    for table in (accuracy_table(wide), cost_table(wide)):
        assert max(map(len, table.splitlines())) <= 100
        assert "fusion=lowrank," in table
        for part in table.split("\n\n"):
            first_column = "".join(line.split("  ")[0].strip() for line in part.splitlines()[3:])
            assert first_column.replace(" ", "") == "concat" + name


def test_to_csv_keeps_every_digit(small: Comparison) -> None:
    header, *rows = csv.reader(io.StringIO(to_csv(small)))
    assert header == list(small.table.columns)
    assert [row[0] for row in rows] == ["concat", "a|b\nc", "lost", "film"]
    for name in ("score", "difference_lo", "p", "delta_m_flat_hi", "step_ms"):
        cells = [row[header.index(name)] for row in rows]
        exact = small.table[name].tolist()
        assert [cell == "" for cell in cells] == [math.isnan(value) for value in exact]
        assert [float(cell) for cell in cells if cell] == [x for x in exact if not math.isnan(x)]


@pytest.mark.parametrize(
    ("params", "shown"),
    [(999, "999"), (1000, "1.0 k"), (999_960, "1.0 M"), (3.44e9, "3.4 G"), (5e12, "5.0 T")],
)
def test_counts_get_prefixes(params: float, shown: str) -> None:
    rows = [*records("concat", BASE), *records("film", WORSE)]
    table = cost_table(comparison([{**row, "params": params} for row in rows]))
    assert table.splitlines()[2] == f"concat   {shown:>6}"


def test_a_metric_that_is_no_share_is_printed_as_it_is() -> None:
    rows = [
        {key.replace("accuracy", "rmse"): value for key, value in row.items()}
        for row in records("concat", (0.1234, 0.2345))
    ]
    compared = compare(
        pd.DataFrame(rows),
        baseline="concat",
        single_task={},
        metrics={"rmse": Metric(False, ideal=0.0)},
    )
    table = accuracy_table(compared)
    assert "rmse %" not in table
    assert " 0.179 ±" in table


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("![x](http://a.b/c)", r"\!\[x\](http://a.b/c)"),
        ("[l](javascript:x)", r"\[l\](javascript:x)"),
        ("*a* _b_ `c` ~~d~~", r"\*a\* \_b\_ \`c\` \~\~d\~\~"),
        ("# a &amp; \\ | <b>", r"\# a \&amp; \\ \| \<b\>"),
        ("- a", r"\- a"),
        ("+ a", r"\+ a"),
        ("---", r"\---"),
        ("1. a", r"1\. a"),
        ("2) a", r"2\) a"),
        ("-1.5, +2 and 1.5 - a", "-1.5, +2 and 1.5 - a"),
        ("a\n\n# b\x1b[2J", r"a \# b \[2J"),
    ],
)
def test_markdown_shows_every_text_as_it_is(text: str, escaped: str) -> None:
    assert markdown(text) == escaped


def test_a_metric_of_anybody_stays_on_its_line_of_the_heading() -> None:
    name = "a\nb\x1b[31m"
    rows = [
        {key.replace("accuracy", name): value for key, value in row.items()}
        for row in records("concat", BASE)
    ]
    compared = compare(
        pd.DataFrame(rows), baseline="concat", single_task={}, metrics={name: Metric(True)}
    )
    table = accuracy_table(compared)
    assert "\x1b" not in table
    assert len(table.splitlines()) == 2 + 1 + 1


def test_a_table_that_is_too_wide_goes_on_below_with_the_names() -> None:
    columns = [
        Column("variant", ("a", "b")),
        *(Column(f"c{i}", ("1" * 20, "2"), (1.0, 2.0)) for i in range(12)),
    ]
    parts = aligned(columns).split("\n\n")
    assert [part.splitlines()[0].split() for part in parts] == [
        ["variant", *(f"c{i}" for i in some)] for some in (range(4), range(4, 8), range(8, 12))
    ]
    assert all(part.splitlines()[2].startswith("a ") for part in parts)
    assert max(map(len, aligned(columns).splitlines())) <= 100


@pytest.fixture
def second() -> Comparison:
    """Two methods, the baseline among them, and two static points that are not tested."""
    frame = pd.DataFrame(
        [
            *({**row, "val.score": 0.1} for row in records("concat", BASE)),
            *records("film", WORSE),
            *({**row, "val.score": 0.6} for row in records("static,1", (0.51, 0.62, 0.73))),
            *({**row, "val.score": 0.5} for row in records("static,2", (0.61, 0.72, 0.83))),
        ]
    )
    return compare(
        frame,
        baseline="concat",
        single_task={},
        metrics={"accuracy": Metric(True)},
        family=["concat", "film"],
        best_of=["static,1", "static,2"],
    )


def test_a_second_comparator_has_a_table_of_its_own_on_the_terminal(second: Comparison) -> None:
    first, caption, below = accuracy_table(second).split("\n\n")
    assert first.splitlines()[0].split() == [
        *("variant", "n", "script", "score", "difference", "p", "verdict")
    ]
    assert caption == "Against static,1, the best on val:"
    assert below == (
        "variant            difference      p  verdict\n"
        "                       points   Holm\n"
        "────────  ───────────────────  ─────  ───────────────────\n"
        "concat      -2.0 [-4.5, +0.5]  0.074  not distinguishable\n"
        "film      -12.0 [-14.5, -9.5]  0.007  worse\n"
        "static,1                    –      –  best on val\n"
        "static,2            +10.0 [–]      –  –\n"
    )


def test_headings_of_one_table_name_both_comparators(second: Comparison) -> None:
    heading, _, *rows = to_markdown(second).splitlines()
    assert heading == (
        "| variant | n | script accuracy % | score % | difference points against concat | p Holm "
        "| verdict against concat | difference points against static,1 | p Holm "
        "| verdict against static,1 |"
    )
    assert rows[2].endswith("| – | – | – | – | best on val |")


def test_notes_tell_the_family_and_how_the_best_was_chosen(second: Comparison) -> None:
    text = "\n".join(notes(second))
    for fact in (
        "Difference: score minus that of concat or of static,1, paired by seed",
        "Best on val: static,1, out of static,1 and static,2: the highest mean score on val "
        "(60.0 %) over the seeds that finished; of equals the first. It is compared on test,",
        "Holm family: 3 tests (n = 3): 1 against concat, 2 against static,1. The smallest true",
        "at level 0.05/3)",
        "Outside of the family, with intervals and no verdict: static,1 and static,2.",
    ):
        assert fact in text


def test_notes_tell_why_there_is_no_second_comparator(second: Comparison) -> None:
    itself = replace(second, best=replace(second.best, variant="concat"))
    assert "It is the baseline: there is no second comparison." in "\n".join(notes(itself))
    nobody = replace(second, best=replace(second.best, variant=None))
    text = "\n".join(notes(nobody))
    assert "out of static,1 and static,2: none of them has a score on val yet." in text
    assert "Holm family: 3 tests. " in text


def test_many_names_are_counted(second: Comparison) -> None:
    names = tuple(f"v{i}" for i in range(9))
    many = replace(second, best=replace(second.best, candidates=names))
    assert "out of v0, v1, v2, v3 and 5 more: " in "\n".join(notes(many))
