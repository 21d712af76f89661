"""`make tensorboard`, and what TensorBoard serves then, in a browser too."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from bench.profiling.tb import read_with_plugin
from tests.bench.profiling.plugin_traces import cpu_trace

ROOT = Path(__file__).parents[3]
CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
MISSING = [str(path) for path in (CHROMIUM, DRIVER) if not path.exists()]
RUNS = ["demo/traces/base", "demo/traces/wide"]
PATIENCE_S = 120

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments: str) -> list[str]:
    return ["make", "tensorboard", "PYTHON=false", *arguments]


def environment() -> dict[str, str]:
    """Without what a make around these tests asks of the one inside."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}


def asked(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        make(*arguments), cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )


def with_file(results: Path, path: str) -> str:
    """`RESULTS=...` with an empty file in it."""
    (results / path).parent.mkdir(parents=True, exist_ok=True)
    (results / path).touch()
    return f"RESULTS={results}"


def test_without_traces_make_says_so_and_installs_nothing(tmp_path: Path) -> None:
    results = with_file(tmp_path / "results", "demo/manifest.json")
    done = asked(results, f"VENV={tmp_path / 'venv'}")
    assert done.returncode == 2
    assert f"no traces in {tmp_path / 'results'} yet: mtmm-bench profile makes some" in done.stdout
    assert not (tmp_path / "venv").exists()


def test_with_traces_make_installs_what_shows_them_once(tmp_path: Path) -> None:
    results = with_file(tmp_path / "results", "demo/traces/base/w0.pt.trace.json.gz")
    serve = f"{tmp_path / 'venv'}/bin/tensorboard --logdir {tmp_path / 'results'} --port 6007"
    more = (results, f"VENV={tmp_path / 'venv'}", "TB_ARGS=--port 6007", "-n")
    before = asked(*more).stdout
    assert "-e '.[tensorboard]'" in before
    assert before.splitlines()[-1] == serve
    installed(tmp_path / "venv")
    after = asked(*more).stdout
    assert "pip" not in after
    assert serve in after


def installed(venv: Path) -> Path:
    """A folder that make takes for an environment with TensorBoard: that of these tests."""
    (venv / "bin").mkdir(parents=True)
    command = venv / "bin" / "tensorboard"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m tensorboard.main "$@"\n')
    command.chmod(0o755)
    for stamp in (".installed", ".installed-tensorboard"):
        (venv / stamp).touch()
    return venv


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with the traces of two variants."""
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    pytest.importorskip("torch_tb_profiler", reason="torch-tb-profiler is not installed")
    root = tmp_path_factory.mktemp("served") / "results"
    for run in RUNS:
        cpu_trace(root / run / "here_1.pt.trace.json.gz")
    return root


@pytest.fixture(scope="module")
def served(results: Path) -> Iterator[str]:
    """The address of TensorBoard, started by make on a free port, once the traces are read."""
    log = results.parent / "log"
    venv = installed(results.parent / "venv")
    with log.open("wb") as out:
        process = subprocess.Popen(
            make(f"RESULTS={results}", f"VENV={venv}", "TB_ARGS=--port 0"),
            cwd=ROOT,
            env=environment(),
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + PATIENCE_S
        while not (found := re.search(r"http://localhost:\d+/", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.2)
        while (runs := answer(found[0], "runs"))["loading"] or len(runs["runs"]) < len(RUNS):
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.5)
        yield found[0]
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def answer(address: str, route: str, **arguments: str) -> Any:
    query = f"data/plugin/pytorch_profiler/{route}?{urlencode(arguments)}"
    with urlopen(address + query, timeout=PATIENCE_S) as response:
        return json.load(response)


@pytest.mark.slow
def test_tensorboard_serves_the_tables_of_a_trace(served: str, results: Path) -> None:
    assert answer(served, "runs")["runs"] == RUNS
    run = RUNS[0]
    assert answer(served, "views", run=run) == ["Overview", "Operator", "Trace"]
    (worker,) = answer(served, "workers", run=run, view="Overview")
    assert worker == "here_1"
    (span,) = answer(served, "spans", run=run, worker=worker)
    of = {"run": run, "worker": worker, "span": span}
    here = read_with_plugin(results / run / "here_1.pt.trace.json.gz")

    (step,) = answer(served, "overview", **of)["performance"]
    mean = here.overview.mean()
    assert step["value"] == round(mean["Total"])
    parts = {part["name"]: part["value"] for part in step["children"]}
    roles = {"DataLoader": "DataLoader", "CPU Exec": "CpuOp", "Other": "Other"}
    assert parts == {name: round(mean[role]) for name, role in roles.items()}

    rows = answer(served, "operation/table", **of, group_by="Operation")["data"]
    shown = {row["name"]: (row["calls"], row["host_self_duration"]) for row in rows}
    own = here.operators["host_self_us"].round().astype(int)
    assert shown == dict(
        zip(own.index, zip(here.operators["calls"], own, strict=True), strict=True)
    )


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    if MISSING:
        pytest.skip(f"no {' and no '.join(MISSING)}")
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",
        f"--user-data-dir={tmp_path / 'profile'}",
    ):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


@pytest.mark.slow
def test_the_page_lists_the_variants_and_asks_the_network_for_charts(
    browser: webdriver.Chrome, served: str
) -> None:
    browser.get(f"{served}#pytorch_profiler")
    wait = WebDriverWait(browser, PATIENCE_S)
    wait.until(lambda page: page.find_elements(By.TAG_NAME, "iframe"))
    browser.switch_to.frame(browser.find_element(By.TAG_NAME, "iframe"))
    wait.until(lambda page: {RUNS[0], "Overview", "here_1"} <= lines(page))
    failed = [entry["message"] for entry in browser.get_log("browser")]
    assert any("https://www.gstatic.com/charts/loader.js" in message for message in failed)


def lines(page: webdriver.Chrome) -> set[str]:
    return set(page.find_element(By.TAG_NAME, "body").text.splitlines())
