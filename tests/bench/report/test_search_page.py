"""The section of a search in the page, and its files; a suite without one has neither."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from bench.report.figures import SEARCH_FIGURES
from bench.report.write import write_report
from tests.bench.report import test_page
from tests.bench.report.conftest import IMAGE, SCRIPT
from tests.bench.report.searches import ONE, arm, several, trial, write_search

browser = test_page.browser


@pytest.fixture
def folder(results: Any) -> Path:
    """A suite of two variants, before anything says that it comes of a search."""
    results.add("hard-tuned", [0.5, 0.6])
    results.add("cross_stitch-tuned", [0.4, 0.7])
    made: Path = results.write()
    return made


def contents(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def page_of(folder: Path) -> str:
    write_report(folder, ["html"])
    return (folder / "report.html").read_text(encoding="utf-8")


def test_a_search_has_a_section_of_its_own_with_every_figure(folder: Path) -> None:
    page = page_of(write_search(folder, ONE))
    section = page.partition('<h2 id="search">')[2].partition("<h2 ")[0]
    shown = re.findall(r'<figure id="figure-(\w+)">', section)
    assert shown == list(SEARCH_FIGURES)
    assert section.count("<svg ") == 3
    assert "Left out: the search has one objective." in section
    assert "proposed by tpe and pruned by hyperband" in section
    assert '<a href="#search">Search</a>' in page
    assert '<a href="search.json">search.json</a>' in page
    drawn = {path.name for path in (folder / "figures").glob("search_*")}
    assert drawn == {
        f"search_{name}.{end}"
        for name in ("history", "parallel", "importance")
        for end in ("svg", "png")
    }


def test_several_objectives_have_their_front(folder: Path) -> None:
    several_of_them = several(
        ("val.score", "maximize"), ("step_ms", "minimize"), values=[[0.5, 3], [0.7, 9]]
    )
    page = page_of(write_search(folder, several_of_them))
    assert (folder / "figures" / "search_front.svg").exists()
    assert "Pareto front of the search" in page


def test_metrics_are_in_percent_where_the_manifest_says_that_they_are_shares(folder: Path) -> None:
    given = several(("val.script.accuracy", "maximize"), values=[[0.5], [0.7]])
    assert "val.script.accuracy, %" in page_of(write_search(folder, given))


def test_without_a_search_nothing_is_there_and_an_earlier_one_leaves_nothing(folder: Path) -> None:
    write_report(folder)
    before = contents(folder)
    assert "search" not in before["report.html"].decode().replace('type="search"', "")
    assert not any("search" in name for name in before)
    write_report(write_search(folder, ONE))
    assert contents(folder) != before
    (folder / "search.json").unlink()
    write_report(folder)
    assert contents(folder) == before


@pytest.mark.parametrize("text", ['{"schema_version": 2}', "{", '{"schema_version": 1}'])
def test_a_file_that_is_no_search_is_told_in_a_report_that_is_whole(
    folder: Path, text: str
) -> None:
    write_report(write_search(folder, ONE))
    (folder / "search.json").write_text(text)
    page = page_of(folder)
    section = page.partition('<h2 id="search">')[2].partition("<h2 ")[0]
    assert "Left out: search.json " in section
    assert "<figure" not in section
    assert 'id="figure-tasks"' in page
    assert not list((folder / "figures").glob("search_*"))


def test_the_same_search_gives_the_same_bytes(folder: Path) -> None:
    write_report(write_search(folder, ONE))
    before = contents(folder)
    write_report(folder)
    assert contents(folder) == before


@pytest.fixture
def hostile_search(folder: Path) -> Path:
    """Every text of a search tries to be more than text."""
    made = copy.deepcopy(ONE)
    trials = [trial(i, [0.1 * i, i]) for i in range(4)]
    for i, one in enumerate(trials):
        one["params"] = {SCRIPT: float(i), IMAGE: '"<b>\\u0000"'}
    names = [SCRIPT, IMAGE, "$x_1^2$ & {\\", "\ud800\x1b[31m\nlines"]
    made["arms"] = [arm(name, trials, 3, [3], {name: 0.5, IMAGE: 0.5}) for name in names]
    made["objectives"] = [
        {"name": SCRIPT, "direction": "maximize"},
        {"name": IMAGE, "direction": "minimize"},
    ]
    made["constraints"] = [{"name": SCRIPT, "max": 1}]
    made["space"] = [{"name": IMAGE, "choices": ['"<b>\\u0000"', SCRIPT]}]
    made |= {"sampler": SCRIPT, "pruner": IMAGE}
    return write_search(folder, made)


def test_names_are_escaped(hostile_search: Path) -> None:
    page = page_of(hostile_search)
    section = page.partition('<h2 id="search">')[2].partition("<h2 ")[0]
    assert section.count("<svg ") == 4
    assert "<script" not in section
    assert "<img" not in section
    assert "<b>" not in section
    assert "\x1b" not in section
    assert section.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 4
    assert "$x_1^2$ &amp; {\\" in section


@pytest.mark.skipif(bool(test_page.MISSING), reason="no browser")
def test_the_page_of_a_search_runs_nothing_and_fits(
    browser: webdriver.Chrome, hostile_search: Path
) -> None:
    write_report(hostile_search, ["html"])
    browser.get_log("browser")
    for pixels in (390, 1440):
        test_page.width(browser, pixels)
        browser.get((hostile_search / "report.html").as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= pixels
    ids = browser.execute_script("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    assert len(browser.find_elements(By.TAG_NAME, "script")) == 1
    assert browser.find_elements(By.TAG_NAME, "img") == []
    assert browser.get_log("browser") == []
    drawn = "return document.querySelector('#figure-search_history svg').textContent"
    assert SCRIPT in browser.execute_script(drawn)
