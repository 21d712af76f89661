"""`make dashboard`, and what optuna-dashboard serves then."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import optuna
import pytest

from bench.search.storage import Place

ROOT = Path(__file__).parents[3]
PATIENCE_S = 120

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments: str) -> list[str]:
    return ["make", "dashboard", "PYTHON=false", *arguments]


def environment() -> dict[str, str]:
    """Without what a make around these tests asks of the one inside."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}


def asked(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        make(*arguments), cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )


def journal(results: Path, name: str) -> Path:
    """The journal of a search, with one study called as the search is."""
    optuna.create_study(storage=Place(None, results / f"{name}-tuned").storage, study_name=name)
    return results / f"{name}-tuned" / "study.journal"


def installed(venv: Path) -> Path:
    """A folder that make takes for an environment with the dashboard: that of these tests."""
    (venv / "bin").mkdir(parents=True)
    command = venv / "bin" / "optuna-dashboard"
    code = "from optuna_dashboard._cli import main; main()"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
    command.chmod(0o755)
    for stamp in (".installed", ".installed-dashboard"):
        (venv / stamp).touch()
    return venv


def test_without_studies_make_says_so_and_installs_nothing(tmp_path: Path) -> None:
    (tmp_path / "default").mkdir()
    for arguments in ([], [f"STUDY={tmp_path}/none.journal"]):
        done = asked(f"RESULTS={tmp_path}", f"VENV={tmp_path / 'venv'}", *arguments)
        assert done.returncode == 2
        assert "no studies yet: make search makes some" in done.stdout
        assert not (tmp_path / "venv").exists()


def test_with_studies_make_installs_what_shows_them_once(tmp_path: Path) -> None:
    journal(tmp_path, "one")
    more = (f"RESULTS={tmp_path}", f"VENV={tmp_path / 'venv'}", "-n")
    assert "-e '.[dashboard]'" in asked(*more).stdout
    installed(tmp_path / "venv")
    assert "pip" not in asked(*more).stdout


@pytest.mark.slow
@pytest.mark.parametrize("named", [False, True])
def test_it_serves_the_latest_search_or_the_one_that_is_named(tmp_path: Path, named: bool) -> None:
    pytest.importorskip("optuna_dashboard", reason="needs mtmm-bench[dashboard]")
    old, new = journal(tmp_path, "older"), journal(tmp_path, "newer")
    os.utime(old, (1e9, 1e9))
    assert new.stat().st_mtime > old.stat().st_mtime
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [f"RESULTS={tmp_path}", f"VENV={installed(tmp_path / 'venv')}"]
    arguments += [f"DASHBOARD_ARGS=--port {port}", *([f"STUDY={old}"] if named else [])]
    process = subprocess.Popen(
        make(*arguments), cwd=ROOT, env=environment(), start_new_session=True
    )
    try:
        assert studies(port, process) == ["older" if named else "newer"]
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def studies(port: int, process: subprocess.Popen[bytes]) -> list[str]:
    """The names of the studies that the dashboard lists, as soon as it is up."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urlopen(f"http://127.0.0.1:{port}/api/studies", timeout=PATIENCE_S) as answer:
                return [study["study_name"] for study in json.load(answer)["study_summaries"]]
        except URLError:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.2)
