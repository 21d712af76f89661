"""`export`: results for other tools, out of the records alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.errors import OK, InputError
from bench.exporting import TRACKERS
from bench.exporting.frame import as_csv, as_parquet, joined
from bench.exporting.runs import Written, runs_of
from bench.report.files import write_file


def export(folders: Sequence[Path], to: str, out: Path | None, project: str | None) -> int:
    """Write the results in these folders for `to` and print where.

    `out` is a file for `csv` and `parquet`, a folder for `wandb` and `mlflow`. Without it results
    go into their own folder; those of several folders in one file need it.
    """
    if to in TRACKERS:
        _export_runs(folders, to, out, project)
    elif project is not None:
        raise InputError(f"--project goes with --to {' and '.join(TRACKERS)}; found --to {to}")
    else:
        _export_frame(folders, to, out)
    return OK


def _export_frame(folders: Sequence[Path], to: str, out: Path | None) -> None:
    if out is None and len(folders) > 1:
        raise InputError(f"--out must name the file for the results of {len(folders)} folders")
    path = out or folders[0] / f"export.{to}"
    frame = joined(folders)
    content = (as_csv if to == "csv" else as_parquet)(frame)
    try:
        write_file(path, content)
    except OSError as error:
        raise InputError(f"{path}: it cannot be written: {error}") from None
    print(f"{path}: {len(frame)} rows, {frame.shape[1]} columns")


def _export_runs(folders: Sequence[Path], to: str, out: Path | None, project: str | None) -> None:
    write = _writer(to)
    found = [(folder, *runs_of(folder)) for folder in folders]
    for folder, runs, without in found:
        done = write(runs, out or folder / _DEFAULTS[to], project)
        text = f"{done.where}: runs written: {done.written}, there already: {done.same}"
        print(f"{text}, without a record: {without}" if without else text)


_DEFAULTS = {"wandb": "", "mlflow": "mlflow"}
"""Folders beside a report; W&B makes one of its own."""


def _writer(to: str) -> Callable[..., Written]:
    if to == "wandb":
        from bench.exporting.wandb import write_wandb

        return write_wandb
    from bench.exporting.mlflow import write_mlflow

    return write_mlflow
