"""What docs/search.md shows of searches on several machines: its commands are run."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from tests.bench.search.postgresql import PASSWORD, USER, Server, serving
from tests.bench.search.test_dashboard import studies
from tests.test_docs import blocks
from tests.test_docs_search import GUIDE, SUITE, loaded

HOST = "db.example.org"
SECTION = GUIDE.partition("## Going on, and several workers")[2].partition("\n## ")[0]
LONGEST_S = 300

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


def line(start: str) -> str:
    """The only line of the recipe that begins so."""
    lines = [line for block in blocks(SECTION, "") for line in block.splitlines()]
    (found,) = (line for line in lines if line.startswith(start))
    return found


def words(start: str, folder: Path) -> list[str]:
    """The words of a command, on the host of the tests and in their folder."""
    shown = line(start).replace(HOST, "127.0.0.1").replace("/shared", str(folder))
    first, *more = shlex.split(shown)
    return [sys.executable, "-m", "bench", *more] if first == "mtmm-bench" else [first, *more]


def environment(server: Server, home: Path) -> dict[str, str]:
    """That of a machine which knows the password from ~/.pgpass alone."""
    known = {**server.environment, "HOME": str(home), "PGPORT": str(server.port)}
    known["PYTHONPATH"] = str(Path(__file__).parents[1])
    del known["PGPASSWORD"]
    home.mkdir()
    file = home / ".pgpass"
    file.write_text(line(f"{HOST}:").replace(HOST, "127.0.0.1").replace("PASSWORD", PASSWORD))
    file.chmod(0o600)
    return known


def test_the_recipe_for_several_machines(server: Server, tmp_path: Path) -> None:
    assert f"-U {USER} " in line("createdb")
    suite = loaded(SUITE) | {"seeds": 2}
    suite["dataset"]["limit"], suite["train"]["epochs"] = 150, 1
    suite["search"] |= {"trials": 3, "repeats": 1}
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "search.yaml").write_text(yaml.safe_dump(suite), encoding="utf-8")
    machines = [environment(server, tmp_path / name) for name in ("one", "other")]
    subprocess.run(words("createdb", tmp_path), env=machines[0], check=True)
    searches = [
        subprocess.Popen([*words("mtmm-bench", tmp_path), "-q"], env=machine, cwd=tmp_path)
        for machine in machines
    ]
    assert [search.wait(LONGEST_S) for search in searches] == [0, 0]
    counts = server.ask("select count(*), count(distinct study_id) from trials", "studies")
    assert counts == "6|2"
    assert server.ask("select distinct state from trials", "studies") == "COMPLETE"
    assert (tmp_path / "results" / "search-tuned" / "tuned.md").exists()
    if find_spec("optuna_dashboard") is not None:
        listed = shown_by_dashboard(tmp_path, machines[0])
        assert sorted(name.split("/")[1] for name in listed) == ["concat", "film"]


def shown_by_dashboard(folder: Path, machine: dict[str, str]) -> list[str]:
    """The studies that the dashboard lists when started as the recipe says."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from optuna_dashboard._cli import main; main()"]
    more = [*words("optuna-dashboard", folder)[1:], "--port", str(port)]
    process = subprocess.Popen([*command, *more], env=machine, cwd=folder, start_new_session=True)
    try:
        return studies(port, process)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
