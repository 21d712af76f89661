from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.report.columns import Column
from bench.report.latex import escaped, to_latex
from bench.report.write import write_report

PDFLATEX = shutil.which("pdflatex")


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("a_b & 5 %", r"a\_b \& 5 \%"),
        ("$x^2$", r"\$x\textasciicircum{}2\$"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("~#<>|", r"\textasciitilde{}\#\textless{}\textgreater{}\textbar{}"),
        ("a---b-c", "a-{}-{}-b-c"),
        ("[image]*", "{[}image]{*}"),
        ("two\nlines\x00", "two lines"),
        ("Δm ±1", r"$\Delta$m $\pm$1"),
    ],
)
def test_every_special_character_is_escaped(text: str, printed: str) -> None:
    assert escaped(text) == printed


def test_a_table_has_rules_and_alignment() -> None:
    columns = [
        Column("variant", ("a_b", "c")),
        Column("difference\npoints", ("-1.0 [-2.0, +0.1]", "–"), (-0.01, float("nan"))),
    ]
    assert to_latex(columns).splitlines() == [
        "% needs \\usepackage{booktabs}",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"variant & difference points \\",
        r"\midrule",
        r"a\_b & $-$1.0 {[}$-$2.0, +0.1] \\",
        r"c & \textendash{} \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


@pytest.mark.skipif(PDFLATEX is None, reason="no pdflatex")
def test_the_tables_of_a_hostile_suite_compile_in_a_plain_article(
    hostile: Path, tmp_path: Path
) -> None:
    write_report(hostile, ["latex"])
    tables = sorted((hostile / "tables").glob("*.tex"))
    assert [path.stem for path in tables] == ["ablations", "accuracy", "cost", "effects"]
    parts = [
        r"\documentclass{article}\usepackage{booktabs}\begin{document}",
        *(rf"\input{{{path}}}" for path in tables),
        r"\end{document}",
    ]
    (tmp_path / "page.tex").write_text("\n\n".join(parts), encoding="utf-8")
    command = [str(PDFLATEX), "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode("latin-1")[-2000:]
    assert not re.search(rb"Missing character", done.stdout)
