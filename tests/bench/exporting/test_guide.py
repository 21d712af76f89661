from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.cli import main
from bench.exporting import TARGETS

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "export.md"


def _blocks(text: str, language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return [code for name, code in fenced if name == language]


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The guide, in a folder with the results it speaks of."""
    monkeypatch.chdir(tmp_path)
    for suite in ("default", "fusion"):
        for variant, accuracy in (("a", 0.5), ("b", 0.75)):
            bench.record(suite, variant=variant, seed=0, metrics={"t": {"accuracy": accuracy}})
    return GUIDE.read_text(encoding="utf-8")


def _run(text: str, target: str) -> None:
    (commands,) = _blocks(text, "")
    lines = [shlex.split(line) for line in commands.splitlines()]
    (line,) = (line for line in lines if line[line.index("--to") + 1] == target)
    assert line[0] == "mtmm-bench"
    assert main(line[1:]) == 0


def test_its_table_has_every_target(text: str) -> None:
    for target in TARGETS:
        assert f"| `{target}` |" in text


def test_its_files_are_written_and_read(text: str) -> None:
    pytest.importorskip("pyarrow")
    for target in ("csv", "parquet"):
        _run(text, target)
    assert Path("results/default/export.csv").exists()
    names: dict[str, Any] = {}
    exec(_blocks(text, "python")[0], names)
    assert names["means"]["fusion", "b"] == 0.75


def test_its_offline_runs_are_written(text: str) -> None:
    pytest.importorskip("wandb")
    _run(text, "wandb")
    assert len(list(Path("results/default/wandb").glob("offline-run-*"))) == 2


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")
def test_its_store_is_written_and_read(text: str) -> None:
    for package in ("mlflow", "sqlalchemy", "alembic"):
        pytest.importorskip(package)
    _run(text, "mlflow")
    names: dict[str, Any] = {}
    exec(_blocks(text, "python")[1], names)
    assert names["best"].data.tags["variant"] == "b"
    assert len(names["others"]) == 1
