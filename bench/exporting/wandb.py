"""Runs for Weights & Biases, as offline runs on disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.errors import InputError
from bench.exporting.names import safe, shortened
from bench.exporting.offline import offline
from bench.exporting.runs import Run, Written

PROJECT = "mtmm-bench"

LONGEST_NAME = 128
"""Of a run; the server refuses longer ones."""

MARK = "mtmm-bench.txt"
"""The file in the folder of a run that tells it is whole, and what of."""


def write_wandb(runs: Sequence[Run], out: Path, project: str | None) -> Written:
    """Write offline runs into the folder `wandb` in `out`.

    The group is the suite. A run that lies there and has not changed stays as it is, one that has
    is replaced under the same id. Nothing is asked of the network. Raises InputError without the
    package, or where nothing can be written.
    """
    with offline():
        try:
            import wandb  # type: ignore[import-not-found, unused-ignore]
        except ImportError:
            text = "--to wandb needs the package: pip install 'mtmm-bench[wandb]'"
            raise InputError(text) from None
        folder, written = _writable(out / "wandb"), 0
        project = project or PROJECT
        for run in runs:
            there = sorted(folder.glob(f"offline-run-*-{run.id}"))
            mark = f"{run.content} {project}"
            if len(there) == 1 and _mark(there[0]) == mark:
                continue
            try:
                for old in there:
                    shutil.rmtree(old)
                made = _write(wandb, run, out, project)
                (made / MARK).write_text(mark, encoding="utf-8")
            except (wandb.Error, OSError) as error:
                raise InputError(f"{folder}: W&B cannot write '{run.name}': {error}") from None
            written += 1
        return Written(where=folder, written=written, same=len(runs) - written)


def column(name: str) -> str:
    """A dotted name with `/`, which is how W&B groups; dots in names are trouble to its filters."""
    return safe(name, "A-Za-z0-9_.", 250).replace(".", "/")


def _writable(folder: Path) -> Path:
    """The folder, made if need be; W&B itself would go to a temporary one without a word."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: nothing can be written there: {error}") from None
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise InputError(f"{folder}: nothing can be written there: no permission")
    return folder


def _mark(folder: Path) -> str:
    path = folder / MARK
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _write(wandb: Any, run: Run, out: Path, project: str) -> Path:
    """The folder of the run."""
    settings = wandb.Settings(
        silent=True,
        console="off",
        # Of the machine that trained, not of this one, would be of use.
        disable_git=True,
        disable_code=True,
        x_disable_stats=True,
        x_disable_meta=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
    )
    session = wandb.init(
        mode="offline",
        dir=out,
        project=project,
        id=run.id,
        name=shortened(run.name, LONGEST_NAME),
        group=run.suite,
        job_type="train",
        config={column(name): value for name, value in run.config.items()},
        reinit="create_new",
        settings=settings,
    )
    for point in run.curve:
        session.log({column(name): x for name, x in point.measures.items()}, step=point.epoch)
    summary = {column(name): value for name, value in run.measures.items()}
    told = {"status": run.status, "reason": run.reason, "started": run.started}
    session.summary.update(summary | told | {"record": run.record})
    folder = Path(session.dir).parent
    session.finish(exit_code=0 if run.fine else 1)
    return folder
