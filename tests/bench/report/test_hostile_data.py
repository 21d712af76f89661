"""A run on a table whose names and cells try to be more than text, and what is written of it."""

from __future__ import annotations

import csv
import io
import re
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from selenium import webdriver
from selenium.webdriver.common.by import By

from bench.cli import main
from tests.bench.report import test_page
from tests.tables import write_glyphs

SCRIPT = "<script>document.title='run'</script>"
IMAGE = '"><img src=x onerror=alert(1)>'
ESCAPES = "\x1b[31mred\x1b[0m\n| pipe `x` $y_1$ & 5 %"
SHOWN = "[31mred [0m | pipe `x` $y_1$ & 5 %"
FORMULA = '=HYPERLINK("http://example.org","x")'

browser = test_page.browser


def write(folder: Path) -> Path:
    """A table of real glyphs with such names and cells; its suite."""
    hostile = (SCRIPT, IMAGE, ESCAPES, FORMULA)
    with write_glyphs(folder, 150).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with (folder / "h.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["\x1b[2Jphoto", "note", *hostile, "part"])
        for i, row in enumerate(rows):
            cells = [hostile[i % 4], hostile[i % 3], i % 7, row["height"], row["part"]]
            writer.writerow([row["photo"], f"{row['note']} {hostile[i % 4]}", *cells])
    suite: dict[str, Any] = {
        "name": "hostile",
        "question": SCRIPT + IMAGE + ESCAPES,
        "dataset": {
            "name": "table",
            "file": str(folder / "h.csv"),
            "inputs": {
                IMAGE: {"kind": "image", "column": "\x1b[2Jphoto", "size": 16, "channels": 1},
                ESCAPES: {"kind": "text", "column": "note", "length": 8},
            },
            "tasks": {
                SCRIPT: {"kind": "classification", "column": SCRIPT},
                IMAGE: {"kind": "classification", "column": IMAGE},
                ESCAPES: {"kind": "regression", "column": ESCAPES},
                FORMULA: {"kind": "regression", "column": FORMULA},
            },
            "split": {"column": "part"},
        },
        "model": {
            "encoders": {IMAGE: {"name": "lenet", "channels": 2}, ESCAPES: "bag"},
            "width": 8,
        },
        "train": {"epochs": 1, "batch_size": 32},
        "sweep": [{"sharing": ["hard", "separate"]}, {"modalities": [[ESCAPES], [IMAGE]]}],
        "seeds": 2,
        "timing": "off",
    }
    (folder / "h.yaml").write_text(yaml.safe_dump(suite), encoding="utf-8")
    return folder / "h.yaml"


@dataclass(frozen=True)
class Ran:
    """What a run printed, its suite, and the folder of its results."""

    told: str
    suite: Path
    folder: Path


def told_by(*arguments: str) -> str:
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        assert main(arguments) == 0
    return out.getvalue() + err.getvalue()


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("hostile")
    suite = write(folder)
    told = told_by("run", str(suite), "--results", str(folder / "results"), "--workers", "0")
    return Ran(told, suite, folder / "results" / "hostile")


def test_the_terminal_gets_text_and_nothing_to_obey(ran: Ran) -> None:
    told = ran.told + told_by("check", "--data", str(ran.suite))
    told += told_by("report", str(ran.folder))
    assert [c for c in told if not c.isprintable() and c != "\n"] == []
    for text in (SCRIPT, IMAGE, SHOWN, FORMULA):
        assert text in told


def test_markdown_holds_no_html_and_no_further_cell(ran: Ran) -> None:
    text = (ran.folder / "report.md").read_text(encoding="utf-8")
    assert re.findall(r"(?<!\\)[<>]", text) == []
    tables = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    assert len(tables) >= 3
    for table in tables:
        cells = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(cells) == 1
    assert r"\| pipe \`x\` $y\_1$ \& 5 %" in text


def test_latex_holds_no_command_that_is_not_ours(ran: Ran) -> None:
    text = (ran.folder / "tables" / "accuracy.tex").read_text(encoding="utf-8")
    assert r"$y\_1$".replace("$", r"\$") in text
    rows = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert len(rows) == 7  # a heading and six variants
    assert len({len(re.findall(r"(?<!\\)&", row)) for row in rows}) == 1
    assert all(not re.search(r"(?<!\\)[%#_]", row.removesuffix(r" \\")) for row in rows)


def test_csv_gives_names_back_as_they_are(ran: Ran) -> None:
    frame = pd.read_csv(ran.folder / "frame.csv")
    assert len(frame) == 12
    for name in (SCRIPT, IMAGE):
        assert f"test.{name}.accuracy" in frame.columns
    for name in (ESCAPES, FORMULA):
        assert f"test.{name}.rmse" in frame.columns
    assert ESCAPES in set(frame["variant"])


@pytest.mark.skipif(bool(test_page.MISSING), reason="no browser")
def test_the_page_runs_nothing_of_it_and_shows_it_all(ran: Ran, browser: webdriver.Chrome) -> None:
    browser.get((ran.folder / "report.html").as_uri())
    assert browser.title == "hostile – mtmm-bench"  # an alert would raise, a script rename it
    assert browser.find_elements(By.TAG_NAME, "img") == []
    assert len(browser.find_elements(By.TAG_NAME, "script")) == 1
    assert browser.get_log("browser") == []
    assert SCRIPT + IMAGE in browser.find_element(By.CLASS_NAME, "question").text
    headings = browser.find_element(By.CSS_SELECTOR, "#table-accuracy thead").text
    shown = " ".join(headings.split())
    for text in (SCRIPT, IMAGE, SHOWN, FORMULA):
        assert text in shown
    names = [th.text for th in browser.find_elements(By.CSS_SELECTOR, "#table-accuracy tbody th")]
    assert names[:4] == ["hard", "separate", SHOWN, IMAGE]
