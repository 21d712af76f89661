"""The wheel, installed outside of the clone, takes a new user from a CSV file to a table."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

from bench.cli import main
from mtmm._version import __version__
from mtmm.source import INSTALLED, OWN
from tests.tables import write_glyphs

ROOT = Path(__file__).resolve().parent.parent

SUITE = """\
name: mine
dataset:
  name: table
  file: glyphs.csv
  inputs:
    photo: {kind: image, column: photo, size: 32, channels: 1}
    note: {kind: text, column: note, length: 6}
    measures: {kind: vector, columns: [width, ink]}
  tasks:
    script: {kind: classification, column: script}
    height: {kind: regression, column: height}
model: {encoders: {photo: lenet, note: bag}}
train: {epochs: 2}
sweep: [{sharing: [hard, separate]}]
seeds: 2
"""

# Every process of the environment notes which modules of the clone it opens.
WATCH = f"""
import os, sys

CODE = tuple(os.path.join({str(ROOT)!r}, name) + os.sep for name in ("mtmm", "bench", "tests"))
LOG = os.path.join(sys.prefix, "opened")

def watch(event, arguments):
    if event == "open" and str(arguments[0]).startswith(CODE):
        with open(LOG, "a") as file:
            print(arguments[0], file=file)

sys.addaudithook(watch)
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the tracked files, built without the index."""
    try:
        release = int(metadata.version("setuptools").split(".")[0])
    except metadata.PackageNotFoundError:
        release = 0
    if release < 77:
        pytest.skip("building needs setuptools: pip install 'setuptools>=77'")
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["git", "ls-files", "-z", ":!results"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / "copy" / name)
    offline = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet"]
    pip("wheel", *offline, "--wheel-dir", str(folder), str(folder / "copy"))
    (built,) = folder.glob("*.whl")
    return built


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel, and an empty folder outside of the clone."""

    environment: Path
    folder: Path

    @property
    def opened(self) -> set[str]:
        """The modules of the clone that any process has opened so far."""
        log = self.environment / "opened"
        return set(log.read_text(encoding="utf-8").splitlines()) if log.exists() else set()

    def run(self, program: str, *arguments: str, **variables: str) -> str:
        """What a program of the environment prints."""
        cache = str(self.environment / "cache")
        own = {"XDG_CACHE_HOME": cache, "COLUMNS": "300", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [str(self.environment / "bin" / program), *arguments],
            cwd=self.folder,
            env={**variables_here(), **own, **variables},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel beside the dependencies that are installed here."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, symlinks=True)
    python = str(environment / "bin" / "python")
    pip("--python", python, "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    (packages,) = environment.glob("lib/python*/site-packages")
    here = [path for path in sys.path if INSTALLED & set(Path(path).parts)]
    (packages / "dependencies.pth").write_text("\n".join(here), encoding="utf-8")
    (packages / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
    return Installed(environment, tmp_path_factory.mktemp("empty"))


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    subprocess.run(command, env=variables_here(), check=True, capture_output=True)


def variables_here() -> dict[str, str]:
    """Those of this process, without what leads to the clone."""
    return {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}


def test_the_wheel_holds_all_that_runs_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        console = archive.read(f"mtmm_bench-{__version__}.dist-info/entry_points.txt").decode()
    assert {name.split("/")[0] for name in names} == set(OWN)
    copy = wheel.parent / "copy"
    tracked = {str(f.relative_to(copy)) for top in OWN for f in (copy / top).rglob("*.*")}
    assert names == tracked
    assert {"bench/py.typed", "mtmm/py.typed", "bench/report/templates/page.html"} <= names
    assert "mtmm-bench = bench.cli:main" in console


def test_a_new_user_gets_a_table_outside_of_the_clone(installed: Installed) -> None:
    assert len(SUITE.splitlines()) <= 15
    file = write_glyphs(installed.folder)
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 300
    assert all(any(not row[task] for row in rows) for task in ("script", "height"))
    (installed.folder / "mine.yaml").write_text(SUITE, encoding="utf-8")

    told = installed.run("mtmm-bench", "check", "--data", "mine.yaml")
    assert "input 'photo': image, 1 × 32 × 32" in told
    assert "task 'height': regression" in told
    # In a process of its own, as anywhere; one is enough.
    told = installed.run("mtmm-bench", "run", "mine.yaml", "--set", "timing=off", "--workers", "1")
    table = [line.split() for line in told.splitlines()]
    assert {"variant", "score", "height", "script", "verdict"} <= {
        w for line in table for w in line
    }
    judged = ("distinguishable", "better", "worse")
    for name, verdicts in (("hard", ("baseline",)), ("separate", judged)):
        assert any(line[:2] == [name, "2"] and line[-1] in verdicts for line in table), told
    assert "4 units run, 0 reused" in told
    results = installed.folder / "results"
    page = (results / "mine" / "report.html").read_text(encoding="utf-8")
    assert "<!doctype html>" in page[:100].lower()
    assert "separate" in page
    assert "<svg" in page
    assert (results / "index.html").exists()
    assert not installed.opened


def test_python_imports_the_wheel_and_not_the_clone(installed: Installed) -> None:
    code = "import bench, mtmm\nprint(mtmm.__version__, bench.__file__, mtmm.__file__, sep='\\n')\n"
    version, *files = installed.run("python", "-c", code).splitlines()
    assert version == __version__
    assert all(Path(file).is_relative_to(installed.environment) for file in files)
    assert not installed.opened


def test_a_module_of_the_clone_would_be_noticed(installed: Installed) -> None:
    try:
        installed.run("python", "-c", "import bench", PYTHONPATH=str(ROOT))
        assert any(path.startswith(str(ROOT / "bench")) for path in installed.opened)
    finally:
        (installed.environment / "opened").unlink(missing_ok=True)


def test_the_command_says_its_version(
    installed: Installed, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert installed.run("mtmm-bench", "--version") == capsys.readouterr().out
