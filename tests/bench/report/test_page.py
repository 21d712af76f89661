"""The page in a real browser: it runs, asks for nothing, and shows every text as text."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from bench.report.write import write_report

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
MISSING = [str(path) for path in (CHROMIUM, DRIVER) if not path.exists()]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"no {' and no '.join(MISSING)}")

SCRIPT, IMAGE = "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def written(hostile: Path) -> Path:
    write_report(hostile)
    return hostile


@pytest.fixture
def page(browser: webdriver.Chrome, written: Path) -> webdriver.Chrome:
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get((written / "report.html").as_uri())
    return browser


def column(page: webdriver.Chrome, table: str, heading: int) -> list[str]:
    script = (
        "return [...document.querySelectorAll(`#table-${arguments[0]} tbody tr`)]"
        ".filter(row => !row.hidden).map(row => row.cells[arguments[1]].textContent.trim())"
    )
    found: list[str] = page.execute_script(script, table, heading)
    return found


def requests(page: webdriver.Chrome) -> list[str]:
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [params["request"]["url"] for params in sent]


def width(page: webdriver.Chrome, pixels: int) -> None:
    metrics: dict[str, Any] = {"width": pixels, "height": 900, "deviceScaleFactor": 1}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**metrics, "mobile": False})


def test_no_error_on_the_console_and_no_request_but_the_page(
    page: webdriver.Chrome, written: Path
) -> None:
    time.sleep(0.3)  # what a page asks for late
    asked = {url for url in requests(page) if not url.startswith("data:")}
    assert asked == {(written / "report.html").as_uri()}
    assert page.get_log("browser") == []


def test_the_policy_of_the_page_refuses_what_it_does_not_need(page: webdriver.Chrome) -> None:
    refused = page.execute_async_script(
        "const done = arguments[0];"
        "fetch('https://example.org/').then(() => done('sent'), error => done(String(error)))"
    )
    assert "Failed to fetch" in refused
    assert "Content Security Policy" in page.get_log("browser")[0]["message"]


def test_texts_stay_texts(page: webdriver.Chrome) -> None:
    assert page.title.startswith(SCRIPT)
    assert page.find_element(By.TAG_NAME, "h1").text == SCRIPT
    assert f"{SCRIPT} {IMAGE} </title></style>" in page.find_element(By.CLASS_NAME, "question").text
    text = page.execute_script("return document.body.textContent")
    for told in (f"{SCRIPT}{IMAGE}", "'" + IMAGE + "'", f"{IMAGE}: {SCRIPT}"):
        assert told in text
    assert {SCRIPT, IMAGE} <= set(column(page, "accuracy", 0))
    assert page.find_elements(By.TAG_NAME, "img") == []
    scripts = page.find_elements(By.TAG_NAME, "script")
    assert len(scripts) == 1
    drawn = page.execute_script("return document.querySelector('#figure-cost svg').textContent")
    assert SCRIPT in drawn


def test_ids_are_unique(page: webdriver.Chrome) -> None:
    ids = page.execute_script("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) > 50
    assert len(ids) == len(set(ids))


def test_a_click_sorts_numbers_as_numbers_and_the_third_one_ends_it(
    page: webdriver.Chrome,
) -> None:
    before = column(page, "cost", 0)
    headings = page.find_elements(By.CSS_SELECTOR, "#table-cost thead th")
    texts = [heading.text.replace("\n", " ").split(" ↕")[0] for heading in headings]
    step = texts.index("step ms")
    button = headings[step].find_element(By.TAG_NAME, "button")
    orders = {}
    for state in ("ascending", "descending", "none"):
        button.click()
        assert headings[step].get_attribute("aria-sort") == state
        orders[state] = column(page, "cost", step)
    assert orders["ascending"] == ["5.00", "10.0", "20.0", "–", "–"]
    assert orders["descending"] == ["20.0", "10.0", "5.00", "–", "–"]
    assert column(page, "cost", 0) == before


def test_the_keyboard_sorts_and_one_heading_at_a_time_says_so(page: webdriver.Chrome) -> None:
    headings = page.find_elements(By.CSS_SELECTOR, "#table-accuracy thead th")
    headings[1].find_element(By.TAG_NAME, "button").click()
    headings[0].find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    states = [heading.get_attribute("aria-sort") for heading in headings]
    assert states == ["ascending"] + ["none"] * (len(headings) - 1)
    names = column(page, "accuracy", 0)
    assert names[-1] == "base"


def test_the_filter_keeps_variants_that_have_every_word(page: webdriver.Chrome) -> None:
    shown = page.find_element(By.ID, "shown")
    assert shown.text == "5 of 5 variants"
    field = page.find_element(By.ID, "filter")
    field.send_keys("ONERROR img")
    assert set(column(page, "accuracy", 0)) == {SCRIPT, IMAGE}  # one is so called, one so set
    assert set(column(page, "cost", 0)) == {SCRIPT, IMAGE}
    assert shown.text == "2 of 5 variants"
    details = page.find_elements(By.CSS_SELECTOR, "details.variant")
    assert sum(one.is_displayed() for one in details) == 2
    field.send_keys(" nowhere")
    assert column(page, "accuracy", 0) == []
    field.clear()
    field.send_keys(Keys.SPACE)
    assert len(column(page, "accuracy", 0)) == 5


@pytest.mark.parametrize("pixels", [390, 1440])
@pytest.mark.parametrize("name", ["report.html", "../index.html"])
def test_no_page_is_wider_than_the_window(
    browser: webdriver.Chrome, written: Path, name: str, pixels: int
) -> None:
    width(browser, pixels)
    browser.get((written / name).resolve().as_uri())
    for details in browser.find_elements(By.TAG_NAME, "details"):
        browser.execute_script("arguments[0].open = true", details)
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= pixels
    boxes = browser.execute_script(
        "return [...document.querySelectorAll('.box')].map(b => [b.scrollWidth, b.clientWidth])"
    )
    if name == "report.html" and pixels == 390:
        assert any(inside > box for inside, box in boxes)  # wide tables scroll in their boxes


def test_a_long_name_leaves_room_for_the_columns_on_a_telephone(
    browser: webdriver.Chrome, results: Any
) -> None:
    results.add("x" * 300, [0.4, 0.5], step_ms=(10, 9, 11))
    results.add("y" * 300, [0.5, 0.7], step_ms=(10, 9, 11))
    folder = results.write()
    write_report(folder, ["html"])
    width(browser, 390)
    browser.get((folder / "report.html").as_uri())
    widths = browser.execute_script(
        "return [...document.querySelectorAll('.box tbody th')].map(th => th.clientWidth)"
    )
    assert max(widths) <= 0.46 * 390


def test_a_variant_shows_first_what_it_changes(page: webdriver.Chrome) -> None:
    details = page.find_elements(By.CSS_SELECTOR, "details.variant")
    assert "the baseline" in details[0].text
    page.execute_script("arguments[0].open = true", details[2])
    cells = [cell.text for cell in details[2].find_elements(By.CSS_SELECTOR, "tbody th, tbody td")]
    assert cells == ["train.optimizer.lr", "0.5", "0.01"]
    assert "model.fusion.name: concat" in details[2].find_element(By.TAG_NAME, "pre").text


def test_a_failed_unit_names_its_files(page: webdriver.Chrome, written: Path) -> None:
    (row,) = page.find_elements(By.XPATH, "//h2[@id='failed']/following::table[1]/tbody/tr")
    assert [cell.text for cell in row.find_elements(By.TAG_NAME, "td")][:3] == [
        *("seed 2", "error"),
        SCRIPT + IMAGE,
    ]
    record, log = row.find_elements(By.TAG_NAME, "a")
    assert record.get_attribute("href") == (written.parent / "cells/t002002.json").as_uri()
    assert log.get_attribute("href") == (written.parent / "logs/t002002.log").as_uri()


def test_the_frame_can_be_taken_out_of_the_page(page: webdriver.Chrome, written: Path) -> None:
    import base64
    import gzip

    link = page.find_element(By.ID, "frame").get_attribute("href")
    assert link is not None
    packed = base64.b64decode(link.removeprefix("data:application/gzip;base64,"))
    assert gzip.decompress(packed) == (written / "frame.csv").read_bytes()


def test_every_link_to_a_file_leads_somewhere(page: webdriver.Chrome, written: Path) -> None:
    links = [link.get_attribute("href") for link in page.find_elements(By.CSS_SELECTOR, "li a")]
    files = [Path(link.removeprefix("file://")) for link in links if link.startswith("file:")]  # type: ignore[union-attr]
    assert len(files) > 10
    assert [path for path in files if not path.exists()] == []


def test_the_index_leads_to_the_report(browser: webdriver.Chrome, written: Path) -> None:
    browser.get((written.parent / "index.html").as_uri())
    link = browser.find_element(By.CSS_SELECTOR, "h2 a")
    assert link.text == SCRIPT
    assert SCRIPT in browser.find_element(By.CLASS_NAME, "question").text
    link.click()
    assert browser.current_url == (written / "report.html").as_uri()
    assert browser.get_log("browser") == []
