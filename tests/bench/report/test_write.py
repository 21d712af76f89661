from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.api import run
from bench.cli import main
from bench.errors import InputError
from bench.report.frame import load_frame
from bench.report.write import load_comparison, write_report


def test_the_report_holds_both_tables_and_what_made_them(finished: Path) -> None:
    page = (finished / "report.md").read_text(encoding="utf-8")
    assert page.startswith("# small\n\nDoes it run?\n")
    assert "| hard | 2 |" in page
    assert "not distinguishable" in page or "better" in page or "worse" in page
    assert "Holm family: 1 test" in page
    assert "Made by `" in page


def test_the_csv_files_are_the_comparison_and_the_frame(finished: Path) -> None:
    table = pd.read_csv(finished / "comparison.csv")
    pd.testing.assert_frame_equal(table, load_comparison(finished).table, check_dtype=False)
    frame = pd.read_csv(finished / "frame.csv")
    assert list(frame.columns) == list(load_frame(finished).columns)
    assert len(frame) == len(load_frame(finished))


def test_the_comparison_by_hand(finished: Path) -> None:
    frame = load_frame(finished)
    scores = frame.pivot_table(index="seed", columns="variant", values="test.score")
    row = load_comparison(finished).table.set_index("variant").loc["separate"]
    difference = scores["separate"] - scores["hard"]
    assert row["difference"] == pytest.approx(difference.mean())
    times = frame[frame["time.mode"] == "train"].set_index("variant")["time.step_ms"]
    assert row["step_ratio"] == pytest.approx(times["separate"] / times["hard"])


def test_a_report_written_again_is_the_same(finished: Path) -> None:
    before = {path: path.read_bytes() for path in write_report(finished)}
    assert {path: path.read_bytes() for path in write_report(finished)} == before


PRINTED = ("accuracy", "single_task", "cost", "quality", "effects")


def test_all_formats_write_all_files(finished: Path) -> None:
    names = {str(path.relative_to(finished.parent)) for path in write_report(finished)}
    tables = {f"small/tables/{name}.csv" for name in (*PRINTED, "tasks")}
    tables |= {f"small/tables/{name}.tex" for name in PRINTED}
    figures = {"cost", "tasks", "effects", "curves"}
    assert names == {
        *("small/report.md", "small/comparison.csv", "small/frame.csv", "small/report.html"),
        *(f"small/figures/{name}.{end}" for name in figures for end in ("svg", "png")),
        *tables,
        *("small/summary.json", "index.html"),
    }


def test_the_command_writes_the_formats_it_is_asked_for(
    results: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    results.add("a", [0.1, 0.2])
    folder = results.write()
    assert main(["report", str(folder), "--format", "latex,md"]) == 0
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    tables = {"tables/accuracy.tex", "tables/cost.tex"}
    assert files == {"manifest.json", "report.md", "summary.json"} | tables
    assert "Nothing is tested against the baseline a" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main(["report", str(folder), "--format", "md,pdf"])
    assert "must be out of md, csv, latex, html; found 'pdf'" in capsys.readouterr().err


def test_what_has_nothing_to_show_any_more_is_taken_away(results: Any) -> None:
    folder = results.root / "demo"
    results.add("a", [0.1, 0.2], step_ms=(10, 9, 11))
    results.add("b", [0.1, 0.3], varied=["x"], ablation=True)
    write_report(results.write())
    assert (folder / "tables" / "ablations.tex").exists()
    assert (folder / "figures" / "cost.svg").exists()
    results.variants.pop()
    results.variants[0]["time"] = []
    write_report(results.write())
    for gone in ("tables/ablations.tex", "tables/ablations.csv", "figures/cost.svg"):
        assert not (folder / gone).exists()
    assert "no variant was timed" in (folder / "report.html").read_text(encoding="utf-8")


def test_markdown_from_a_suite_cannot_end_a_cell_a_line_or_start_a_tag(results: Any) -> None:
    results.suite, results.question = "a\nb", "Is <b>x</b> | y?"
    results.command = "mtmm-bench run `x`"
    results.add("a|b\n<i>", [0.1, 0.2])
    results.add("failed", ["line one\nline | two"])
    write_report(results.write(), ["md"])
    lines = (results.folder / "report.md").read_text(encoding="utf-8").splitlines()
    assert lines[:3] == ["# a b", "", "Is \\<b\\>x\\</b\\> \\| y?"]
    assert any(line.startswith("| a\\|b \\<i\\> | 2 | ") for line in lines)
    assert (
        "- failed, seed 0: error: line one line \\| two (`cells/t001000.json`, `logs/t001000.log`)"
        in lines
    )
    assert lines[-1] == "Made by `` mtmm-bench run `x` ``."


def test_a_folder_that_cannot_be_written_is_one_message(results: Any) -> None:
    results.add("a", [0.1, 0.2])
    folder = results.write()
    (folder / "tables").write_text("in the way")
    with pytest.raises(InputError, match="the report cannot be written"):
        write_report(folder)


def test_a_text_that_is_no_utf_8_is_written_all_the_same(results: Any) -> None:
    results.add("a", [0.1, "broken"])
    record = results.root / "cells" / "t000001.json"
    record.write_text(record.read_text().replace("broken", r"broken \ud800 \u0000 \u001b[31m"))
    folder = results.write()
    write_report(folder)
    assert "broken ?" in (folder / "report.html").read_text(encoding="utf-8")


def test_a_manifest_of_another_version_says_to_run_again(finished: Path, tmp_path: Path) -> None:
    manifest = json.loads((finished / "manifest.json").read_text(encoding="utf-8"))
    assert next(iter(manifest["metrics"])) == "accuracy"
    contents: list[Any] = [{**manifest, "schema_version": 1}, []]
    for content in contents:
        (tmp_path / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(InputError, match=r"manifest\.json: .*: run the suite again"):
            write_report(tmp_path)


def test_single_task_twins_are_outside_the_family_and_untimed(
    suite: dict[str, Any], tmp_path: Path
) -> None:
    suite |= {
        "sweep": [{"weighting": ["equal", "uncertainty"]}],
        "timing": {"modes": ["train"], "batch_sizes": [8], "budget_s": 0.1},
    }
    frame = run(suite, results=tmp_path, device="cpu")
    timed = frame[frame["kind"] == "time"]
    assert list(timed["variant"]) == ["equal", "uncertainty"]
    comparison = load_comparison(tmp_path / "small")
    table = comparison.table.set_index("variant")
    assert comparison.family == 1
    assert list(table.index) == ["equal", "uncertainty", "single-task"]
    assert table.loc["single-task", "verdict"] == ""
    assert table.loc["equal", "delta_m_per_task"] == pytest.approx(
        table.loc["equal", "delta_m_per_task"]
    )
    assert not table["delta_m_per_task"][["equal", "uncertainty"]].isna().any()


def test_the_family_of_the_manifest_is_in_every_format(results: Any) -> None:
    results.add("base", [0.50, 0.60, 0.55])
    results.add("method", [0.61, 0.70, 0.68])
    results.add("static_1", [0.49, 0.61, 0.56])
    results.add("static_2", [0.50, 0.63, 0.56])
    results.family = {"variants": ["base", "method"], "best_of": ["static_1", "static_2"]}
    folder = results.write()
    comparison = load_comparison(folder)
    assert (comparison.best.variant, comparison.family) == ("static_2", 3)
    write_report(folder)
    text = {name: (folder / name).read_text("utf-8") for name in ("report.md", "report.html")}
    for told in text.values():
        assert "method is better than the best" in told
        assert "Holm family: 3 tests" in told
    assert "| verdict against static\\_2 |" in text["report.md"]
    assert "Best on val: static_2." in text["report.html"]
    assert text["report.html"].count("outside of the family, no verdict") == 2
    latex = (folder / "tables" / "accuracy.tex").read_text("utf-8")
    assert r"& verdict against static\_2 \\" in latex
    table = pd.read_csv(folder / "comparison.csv").set_index("variant")
    assert table["to_best_verdict"].to_dict() | {"static_1": ""} == {
        "base": "not distinguishable",
        "method": "better",
        "static_1": "",
        "static_2": "best on val",
    }


def test_over_different_tasks_scores_are_compared_on_those_in_common(
    suite: dict[str, Any], tmp_path: Path
) -> None:
    suite |= {"sweep": [], "ablate": {"tasks": "each"}, "single_task": "off"}
    frame = run(suite, results=tmp_path, device="cpu")
    base = "script+slant"
    scores = frame.pivot_table(index="seed", columns="variant", values="test.slant.score")
    row = load_comparison(tmp_path / "small").table.set_index("variant").loc["no-script"]
    assert row["difference"] == pytest.approx((scores["no-script"] - scores[base]).mean())


def test_one_seed_has_no_interval_and_no_verdict(suite: dict[str, Any], tmp_path: Path) -> None:
    run({**suite, "seeds": 1}, results=tmp_path, device="cpu")
    page = (tmp_path / "small" / "report.md").read_text(encoding="utf-8")
    (row,) = (line for line in page.splitlines() if line.startswith("| separate | 1 | "))
    assert "±" not in row
    assert row.endswith("| – |")
