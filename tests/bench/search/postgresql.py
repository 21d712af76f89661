"""A PostgreSQL server of the tests' own, where its programs are installed."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

USER, PASSWORD = "ada", "not-to-be-told"
PATIENCE_S = 60


@dataclass
class Server:
    """One that listens on a port of this machine, and its programs."""

    programs: Path
    folder: Path
    port: int
    names: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to log in without a password in its URL, and to find psql."""
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "PGPASSWORD": PASSWORD}

    def url(self, database: str, login: str = USER) -> str:
        """That of a database, as Optuna takes it."""
        return f"postgresql+psycopg://{login}@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """The name of a new one, empty."""
        self.names.append(f"studies{len(self.names)}")
        self.call("createdb", self.names[-1])
        return self.names[-1]

    def ask(self, question: str, database: str = "postgres") -> str:
        """What the server answers to a question in SQL."""
        return self.call("psql", "--no-psqlrc", "-At", "-c", question, database)

    def call(self, program: str, *arguments: str) -> str:
        """What one of its programs prints, logged in."""
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER]
        done = subprocess.run(
            [program, *where, *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout.strip()


@contextmanager
def serving() -> Iterator[Server]:
    """A server until the end of the block; skips the test where there can be none."""
    programs = _programs()
    if find_spec("psycopg") is None:
        pytest.skip("no driver: pip install 'psycopg[binary]'")
    # Not in the folders of pytest, which no other user may enter; and short, for the socket.
    folder = Path(tempfile.mkdtemp(prefix="mtmm-bench-pg-"))
    try:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            server = Server(programs, folder, free.getsockname()[1])
        process = _start(server)
        try:
            _wait(server, process)
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # it waits for nobody
            process.wait()
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if all((place / name).exists() for name in ("initdb", "postgres", "createdb", "psql")):
            return place
    pytest.skip("PostgreSQL is not installed")


def _start(server: Server) -> subprocess.Popen[bytes]:
    other, folder = _other_user(server.folder), server.folder
    (folder / "password").write_text(PASSWORD, encoding="utf-8")
    (folder / "password").chmod(0o644)
    data = ["-D", str(folder / "data")]
    login = ["-U", USER, "--auth=scram-sha-256", f"--pwfile={folder / 'password'}"]
    try:
        subprocess.run(
            [server.programs / "initdb", *data, *login, "--no-sync", "--encoding=UTF8"],
            **other,
            stdout=subprocess.DEVNULL,
            check=True,
        )
    except PermissionError as error:
        pytest.skip(f"PostgreSQL refuses root, and it cannot be run as another user: {error}")
    where = ["-h", "127.0.0.1", "-p", str(server.port), "-k", str(folder)]
    with (folder / "log").open("w") as log:
        command = [str(server.programs / "postgres"), *data, *where, "-F"]
        process: subprocess.Popen[bytes] = subprocess.Popen(command, **other, stderr=log)
    return process


def _other_user(folder: Path) -> dict[str, Any]:
    """How to start a process as a user that PostgreSQL accepts, in a folder that is theirs."""
    how: dict[str, Any] = {"cwd": folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C"}}
    if os.geteuid() != 0:
        return how
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {**how, "user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            server.ask("select 1")
        except subprocess.CalledProcessError:
            assert process.poll() is None, (server.folder / "log").read_text(encoding="utf-8")
            assert time.monotonic() < until, "the server does not answer"
            time.sleep(0.1)
        else:
            return
