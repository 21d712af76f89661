from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.errors import InputError
from bench.exporting.mlflow import key, uri, write_mlflow
from bench.exporting.runs import runs_of
from tests.bench.exporting.conftest import record

# MLflow asks SQLAlchemy for what goes away one day.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")


@pytest.fixture
def _installed() -> None:
    for name in ("mlflow", "sqlalchemy", "alembic"):
        pytest.importorskip(name)


def _read(path: Path, experiment: str = "own") -> tuple[Any, dict[tuple[str, str], Any]]:
    """MLflow's own client, and the runs of an experiment by variant and seed."""
    import mlflow  # type: ignore[import-not-found, unused-ignore]

    client = mlflow.MlflowClient(tracking_uri=uri(path))
    found: Any = client.get_experiment_by_name(experiment)
    runs = client.search_runs([found.experiment_id])
    return client, {(run.data.tags["variant"], run.data.tags["seed"]): run for run in runs}


@pytest.mark.usefixtures("_installed")
def test_what_is_written_reads_back(own: Path) -> None:
    runs, _ = runs_of(own)
    done = write_mlflow(runs, own / "mlflow", None)
    assert (done.where, done.written, done.same) == (own / "mlflow" / "mlflow.db", 3, 0)
    client, found = _read(done.where)
    assert len(found) == 3
    plain, failed = found["plain", "0"], found["plain", "1"]
    assert plain.info.run_name == "plain, seed 0"
    assert plain.info.status == "FINISHED"
    assert plain.info.end_time - plain.info.start_time == 2500
    params = {"lr": "0.1", "width": "8", "clip": "None", "nesterov": "True", "variant": "plain"}
    assert params.items() <= plain.data.params.items()
    assert plain.data.metrics["test.digit.accuracy"] == 0.5
    curve = client.get_metric_history(plain.info.run_id, "epoch.val.score")
    assert [(point.step, point.value) for point in curve] == [(1, 0.25), (2, 0.5)]
    assert failed.info.status == "FAILED"
    assert failed.data.tags["status"] == "diverged"
    assert "not finite" in failed.data.tags["reason"]
    odd = found["é=1, w/o 'x'\n", "0"]
    assert odd.data.metrics[key("test.a b.accuracy")] == 0.75
    assert odd.data.metrics[key("test.a/b.accuracy")] == 0.25
    assert odd.data.params[key("..")] == "=1+1"
    assert odd.data.params[key("")] == "-"


@pytest.mark.usefixtures("_installed")
def test_again_writes_only_what_has_changed_and_nothing_twice(own: Path) -> None:
    runs, _ = runs_of(own)
    path = write_mlflow(runs, own / "mlflow", None).where
    _, before = _read(path)
    assert write_mlflow(runs, own / "mlflow", None).same == 3
    record(own.parent, seed=1)
    runs, _ = runs_of(own)
    done = write_mlflow(runs, own / "mlflow", None)
    assert (done.written, done.same) == (1, 2)
    _, after = _read(path)
    assert len(after) == 3
    changed = {at for at in after if after[at].info.run_id != before[at].info.run_id}
    assert changed == {("plain", "1")}
    assert after["plain", "1"].info.status == "FINISHED"


@pytest.mark.usefixtures("_installed")
def test_many_settings_and_long_ones_are_no_trouble(own: Path) -> None:
    settings = {f"s{i}": "x" * 7000 if i == 0 else i for i in range(250)}
    record(own.parent, "many", config={**settings, "k" * 300: ""})
    runs, _ = runs_of(own)
    _, found = _read(write_mlflow(runs, own / "mlflow", "elsewhere").where, "elsewhere")
    params = found["many", "0"].data.params
    assert len(params) == 253
    assert params["s249"] == "249"
    assert params["s0"] == "x" * 6000
    assert params[key("k" * 300)] == ""


@pytest.mark.usefixtures("_installed")
def test_a_file_that_is_no_store_is_bad_input(own: Path, tmp_path: Path) -> None:
    runs, _ = runs_of(own)
    (tmp_path / "mlflow.db").write_text("no database at all, but long enough to be taken for one")
    with pytest.raises(InputError, match="MLflow cannot write it"):
        write_mlflow(runs, tmp_path, None)
    with pytest.raises(InputError, match="cannot be written"):
        write_mlflow(runs, tmp_path / "mlflow.db", None)


def test_without_the_package_it_is_named(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(InputError, match=re.escape("pip install 'mtmm-bench[mlflow]'")):
        write_mlflow([], own, None)
