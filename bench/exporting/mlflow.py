"""Runs for MLflow, in a SQLite file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from bench.errors import InputError
from bench.exporting.names import safe, shortened
from bench.exporting.offline import offline
from bench.exporting.runs import Run, Written

LONGEST_KEY, LONGEST_PARAM, LONGEST_TAG, LONGEST_NAME = 250, 6000, 8000, 500
"""Limits of MLflow's stores, in characters."""

PARAMS_AT_ONCE, METRICS_AT_ONCE = 100, 900

ID, CONTENT = "mtmm_bench.id", "mtmm_bench.sha256"
"""Tags that tell which record a run is of, and what of it was written."""

Item = TypeVar("Item")


def write_mlflow(runs: Sequence[Run], out: Path, experiment: str | None) -> Written:
    """Write runs into `mlflow.db` in `out`, in the experiment of that name (default: the suite's).

    A run that is there and has not changed stays as it is; one that has is deleted, as MLflow
    deletes, and written anew. Nothing is asked of the network. Raises InputError without the
    packages, or where nothing can be written.
    """
    with offline():
        try:
            import alembic  # type: ignore[import-not-found, unused-ignore]  # noqa: F401
            import mlflow  # type: ignore[import-not-found, unused-ignore]
            import sqlalchemy  # type: ignore[import-not-found, unused-ignore]
        except ImportError:
            text = "--to mlflow needs packages: pip install 'mtmm-bench[mlflow]'"
            raise InputError(text) from None
        path, written = out / "mlflow.db", 0
        try:
            out.mkdir(parents=True, exist_ok=True)
            client = mlflow.MlflowClient(tracking_uri=uri(path))
            for run in runs:
                written += _put(client, run, out, experiment or run.suite)
        except OSError as error:
            raise InputError(f"{path}: it cannot be written: {error}") from None
        except (mlflow.MlflowException, sqlalchemy.exc.SQLAlchemyError) as error:
            raise InputError(f"{path}: MLflow cannot write it: {error}") from None
        return Written(where=path, written=written, same=len(runs) - written)


def uri(path: Path) -> str:
    """How MLflow calls a SQLite file."""
    return f"sqlite:///{path.absolute()}"


def key(name: str) -> str:
    """A name of a metric or a param; MLflow takes dots."""
    return safe(name, r"\w.\- :", LONGEST_KEY)


def _put(client: Any, run: Run, out: Path, experiment: str) -> bool:
    """Whether the run was not there like that."""
    number = _experiment(client, experiment, out)
    there = client.search_runs([number], filter_string=f"tags.`{ID}` = '{run.id}'")
    if len(there) == 1 and there[0].data.tags.get(CONTENT) == run.content:
        return False
    for old in there:
        client.delete_run(old.info.run_id)
    _write(client, number, run)
    return True


def _experiment(client: Any, name: str, out: Path) -> str:
    """The id of the experiment, made if need be."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    # Else the files of runs would belong into the folder that happens to be the current one.
    return str(
        client.create_experiment(name, artifact_location=(out / "files").absolute().as_uri())
    )


def _write(client: Any, experiment: str, run: Run) -> None:
    from mlflow.entities import (  # type: ignore[import-not-found, unused-ignore]
        Metric,
        Param,
        RunTag,
    )

    start = _milliseconds(run.started)
    tags = {
        ID: run.id,
        "suite": run.suite,
        "variant": run.variant,
        "seed": str(run.seed),
        "record": run.record,
        "status": run.status,
        "reason": run.reason,
    }
    made = client.create_run(
        experiment,
        start_time=start,
        run_name=shortened(run.name, LONGEST_NAME),
        tags={name: value[:LONGEST_TAG] for name, value in tags.items()},
    )
    identity = made.info.run_id
    params = [Param(key(k), str(value)[:LONGEST_PARAM]) for k, value in run.config.items()]
    for part in _parts(params, PARAMS_AT_ONCE):
        client.log_batch(identity, params=part)
    measured = [(0, run.measures), *((point.epoch, point.measures) for point in run.curve)]
    metrics = [Metric(key(k), x, start, step) for step, of in measured for k, x in of.items()]
    for chunk in _parts(metrics, METRICS_AT_ONCE):
        client.log_batch(identity, metrics=chunk)
    end = start + round(1000 * run.measures.get("train.seconds", 0))
    client.set_terminated(identity, "FINISHED" if run.fine else "FAILED", end)
    # Last, so that a run that was written in part is not taken for a whole one.
    client.log_batch(identity, tags=[RunTag(CONTENT, run.content)])


def _milliseconds(started: str) -> int:
    """Since 1970; 0 where a record does not say when it was started."""
    try:
        return round(1000 * datetime.fromisoformat(started).timestamp())
    except ValueError:
        return 0


def _parts(items: Sequence[Item], most: int) -> Iterator[Sequence[Item]]:
    for first in range(0, len(items), most):
        yield items[first : first + most]
