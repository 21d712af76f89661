from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import bench
from bench.cli import main
from tests.bench.exporting.conftest import record


def test_a_file_lies_beside_the_report_or_where_it_is_wanted(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(own), "--to", "csv"]) == 0
    assert f"{own / 'export.csv'}: 4 rows, " in capsys.readouterr().out
    assert len(pd.read_csv(own / "export.csv")) == 4
    assert main(["export", str(own), "--to", "csv", "--out", str(tmp_path / "deep" / "x.csv")]) == 0
    assert (tmp_path / "deep" / "x.csv").read_bytes() == (own / "export.csv").read_bytes()


def test_several_folders_go_into_one_file(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.record("b", variant="v", seed=0, metrics={"t": {"accuracy": 1.0}}, results=own.parent)
    folders = [str(own), str(own.parent / "b")]
    assert main(["export", *folders, "--to", "csv"]) == 2
    assert "--out must name the file for the results of 2 folders" in capsys.readouterr().err
    assert main(["export", *folders, "--to", "csv", "--out", str(tmp_path / "all.csv")]) == 0
    assert pd.read_csv(tmp_path / "all.csv")["suite"].tolist() == ["own"] * 4 + ["b"]


def test_what_cannot_be_done_is_told(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(tmp_path), "--to", "csv"]) == 2
    assert "no results of a suite here" in capsys.readouterr().err
    assert main(["export", str(own), "--to", "csv", "--out", str(tmp_path)]) == 2
    assert "it cannot be written" in capsys.readouterr().err
    assert main(["export", str(own), "--to", "csv", "--project", "mine"]) == 2
    assert "--project goes with --to wandb and mlflow; found --to csv" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["pyarrow", "wandb", "mlflow"])
def test_a_package_that_is_not_there_is_named(own: Path, package: str) -> None:
    target = {"pyarrow": "parquet"}.get(package, package)
    code = (
        f"import sys; sys.modules['{package}'] = None\n"
        "from bench.cli import main\n"
        f"sys.exit(main(['export', {str(own)!r}, '--to', '{target}']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"pip install 'mtmm-bench[{target}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_runs_are_counted(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("wandb")
    assert main(["export", str(own), "--to", "wandb"]) == 0
    told = "runs written: 3, there already: 0, without a record: 1"
    assert capsys.readouterr().out == f"{own / 'wandb'}: {told}\n"
    record(own.parent, seed=2)
    assert main(["export", str(own), "--to", "wandb"]) == 0
    assert capsys.readouterr().out == f"{own / 'wandb'}: runs written: 1, there already: 3\n"


def test_nothing_heavy_is_imported_to_show_the_options() -> None:
    code = (
        "import sys\nfrom bench.cli import parser\nparser()\n"
        "sys.exit(bool({'torch', 'pandas', 'wandb', 'mlflow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
