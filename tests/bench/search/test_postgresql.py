"""Searches whose studies are kept by a PostgreSQL server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from bench.cli import main
from bench.search.storage import Place
from tests.bench.search.postgresql import PASSWORD, USER, Server, serving
from tests.bench.search.test_search_command import SUITE

TRIALS = 4
SHARED = SUITE.replace("trials: 2", f"trials: {TRIALS}")
ONE_ARM = """
name: long
dataset: {name: glyphs, limit: 200}
tasks: [script, slant]
modalities: [image]
model: {encoders: {image: lenet}, width: 8}
train: {epochs: 25, batch_size: 64}
seeds: 2
timing: off
search: {space: {train.optimizer.lr: {low: 1.0e-3, high: 1.0e-1, log: true}}, trials: 4}
"""
AT_ONCE, TIMES = 3, 10
LONGEST_S = 300

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


def start(
    folder: Path, server: Server, database: str, suite: str, *, stderr: int | None = None
) -> subprocess.Popen[bytes]:
    path = folder / "tiny.yaml"
    path.write_text(suite, encoding="utf-8")
    command = [sys.executable, "-m", "bench", "search", str(path), "--device", "cpu", "-q"]
    folders = ["--results", str(folder / "results"), "--workers", "0"]
    return subprocess.Popen(
        [*command, *folders, "--storage", server.url(database)],
        env=server.environment,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        start_new_session=True,
    )


def trials_of(server: Server, database: str) -> dict[str, list[FrozenTrial]]:
    """Those of each arm."""
    storage = optuna.storages.RDBStorage(server.url(database, f"{USER}:{PASSWORD}"))
    try:
        names = optuna.get_all_study_names(storage)
        return {
            name.split("/")[1]: optuna.load_study(study_name=name, storage=storage).trials
            for name in names
        }
    finally:
        storage.engine.dispose()


def wait_for_running(server: Server, database: str, count: int) -> None:
    """Until so many trials are trained at once."""
    until = time.monotonic() + LONGEST_S
    question = "select count(distinct trial_id) from trials join trial_params using (trial_id)"
    while time.monotonic() < until:
        there = server.ask("select to_regclass('alembic_version') is not null", database) == "t"
        if there and server.ask(f"{question} where state = 'RUNNING'", database) == str(count):
            return
        time.sleep(0.05)
    pytest.fail(f"never {count} trials at once")


def connections(server: Server, database: str) -> int:
    question = f"select count(*) from pg_stat_activity where datname = '{database}'"
    return int(server.ask(question))


def test_two_processes_share_the_trials_and_a_later_one_reads_them(
    server: Server, tmp_path: Path
) -> None:
    database = server.database()
    both = [start(tmp_path, server, database, SHARED) for _ in range(2)]
    assert [process.wait(LONGEST_S) for process in both] == [0, 0]
    found = trials_of(server, database)
    assert set(found) == {"equal", "static"}
    for trials in found.values():
        assert [trial.state for trial in trials] == [TrialState.COMPLETE] * TRIALS
        assert len({trial.params["train.optimizer.lr"] for trial in trials}) == TRIALS
    cells = sorted((tmp_path / "results" / "cells").iterdir())
    assert start(tmp_path, server, database, SHARED).wait(LONGEST_S) == 0
    assert trials_of(server, database) == found
    assert sorted((tmp_path / "results" / "cells").iterdir()) == cells
    assert connections(server, database) == 0


def test_what_a_killed_process_was_at_is_tried_again_by_the_other(
    server: Server, tmp_path: Path
) -> None:
    database = server.database()
    killed, other = (start(tmp_path, server, database, ONE_ARM) for _ in range(2))
    wait_for_running(server, database, 2)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert other.wait(LONGEST_S) == 0
    (trials,) = trials_of(server, database).values()
    complete = [trial.params for trial in trials if trial.state == TrialState.COMPLETE]
    assert len(complete) == TRIALS
    (lost,) = (trial for trial in trials if trial.state != TrialState.COMPLETE)
    assert lost.state == TrialState.FAIL
    assert lost.params in complete


def test_a_connection_that_is_lost_during_a_trial_is_made_anew(
    server: Server, tmp_path: Path
) -> None:
    database = server.database()
    search = start(tmp_path, server, database, ONE_ARM)
    wait_for_running(server, database, 1)
    others = f"datname = '{database}' and pid <> pg_backend_pid()"
    server.ask(f"select pg_terminate_backend(pid) from pg_stat_activity where {others}")
    assert search.wait(LONGEST_S) == 0
    (trials,) = trials_of(server, database).values()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * TRIALS


def test_a_database_that_is_gone_for_good_is_told_in_one_line(
    server: Server, tmp_path: Path
) -> None:
    database = server.database()
    search = start(tmp_path, server, database, ONE_ARM, stderr=subprocess.PIPE)
    wait_for_running(server, database, 1)
    server.ask(f'drop database "{database}" with (force)')
    _, told = search.communicate(timeout=LONGEST_S)
    assert search.returncode == 2
    (line,) = told.decode().splitlines()
    assert "it was lost" in line
    assert "the same command goes on" in line
    assert PASSWORD not in line


def open_together(urls: Sequence[str], folder: Path, barrier: Barrier) -> None:
    for url in urls:
        barrier.wait(LONGEST_S)
        try:
            Place(url, folder).connect()
        except Exception:
            barrier.abort()
            raise


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_workers_may_start_at_one_moment_on_an_empty_database(
    kind: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    urls = [f"sqlite:///{tmp_path}/{turn}.db" for turn in range(TIMES)]
    if kind == "postgresql":
        urls = [server.url(server.database()) for _ in range(TIMES)]
    context = get_context("spawn")
    arguments = (urls, tmp_path / "results" / "tiny-tuned", context.Barrier(AT_ONCE))
    workers = [context.Process(target=open_together, args=arguments) for _ in range(AT_ONCE)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(LONGEST_S)
    assert [worker.exitcode for worker in workers] == [0] * AT_ONCE


@pytest.mark.parametrize(
    ("login", "place", "reason"),
    [
        (f"{USER}:not-this", "{port}/postgres", "password authentication failed"),
        (f"{USER}:{PASSWORD}", "{port}/nowhere", 'database "nowhere" does not exist'),
        (f"{USER}:{PASSWORD}", "1/postgres", "port 1 failed"),
        (f"{USER}:{PASSWORD}", "x/postgres", ""),
        (USER, f"{{port}}/nowhere?password={PASSWORD}", "does not exist"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_without_the_password(
    login: str,
    place: str,
    reason: str,
    server: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "tiny.yaml").write_text(SUITE, encoding="utf-8")
    url = f"postgresql+psycopg://{login}@127.0.0.1:{place.format(port=server.port)}"
    command = ["search", str(tmp_path / "tiny.yaml"), "--results", str(tmp_path / "results"), "-q"]
    assert main([*command, "--storage", url]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    assert line.startswith("--storage postgresql+psycopg://")
    assert "it cannot be used: " in line
    assert reason in line
    assert PASSWORD not in line
    assert "not-this" not in line


def test_the_password_of_a_url_is_written_nowhere(server: Server, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SUITE, encoding="utf-8")
    url = server.url(server.database(), f"{USER}:{PASSWORD}")
    command = ["search", str(tmp_path / "tiny.yaml"), "--results", str(tmp_path / "results"), "-q"]
    done = subprocess.run(
        [sys.executable, "-m", "bench", *command, "--workers", "0", "--storage", url],
        capture_output=True,
        check=True,
    )
    written = [path for path in (tmp_path / "results").rglob("*") if path.is_file()]
    assert any(path.name == "report.md" for path in written)
    for text in (done.stdout, done.stderr, *(path.read_bytes() for path in written)):
        assert PASSWORD.encode() not in text
