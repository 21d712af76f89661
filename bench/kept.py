"""Weights and predictions that a run has kept, read back by the names of suite and variant."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor, nn

from bench.cell import TrainCell
from bench.errors import InputError
from bench.keeping import Keep, kept_predictions, kept_weights
from bench.records import Record
from bench.report.frame import load_manifest
from bench.store import Store
from bench.variant import describe, description_of
from mtmm.data import DATASETS
from mtmm.model import build_model
from mtmm.registry import settings_in
from mtmm.settings import ConfigError, Problem, found, listed, nearest
from mtmm.spec import Description

_MOST_COLUMNS = 5_000


def load_model(folder: str | Path, *, variant: str, seed: int) -> nn.Module:
    """The trained model of a cell, on the CPU and in evaluation mode.

    `folder` is that of a suite's results, whose variants had `train.keep: [weights]`. Components of
    your own have to be registered before. Its `forward(inputs, present)` takes batches of the data
    set. Warns where its code has changed since, raises InputError where there is none.
    """
    record, files = _cell(Path(folder), variant, seed)
    config = record["config"]
    if "model" not in config:
        raise InputError(f"{folder}: its records are of a loop of your own, which kept no weights")
    try:
        model = build_model(config["model"], _data_of(config), seed=seed)
        _warn_if_changed(record, f"{folder}: '{variant}' with seed {seed}")
        model.load_state_dict(kept_weights(files))
    except ConfigError as error:
        text = "components of your own have to be registered first"
        raise InputError(f"{folder}: {error} ({text})") from None
    except FileNotFoundError:
        raise InputError(_not_kept(folder, variant, seed, "weights")) from None
    except Exception as error:  # of a file that is cut off, or a component that has changed
        text = f"{files.path('weights')}: not the weights of this code's '{variant}'"
        told = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise InputError(f"{text}: {told}") from None
    return model.eval()


def load_predictions(folder: str | Path, *, variant: str, seed: int) -> pd.DataFrame:
    """What a trained cell says of each sample of test, in their order.

    `folder` is that of a suite's results, whose variants had `train.keep: [predictions]`. Columns:
    `<task>.target`, missing where there is no label, and `<task>.output`, as the head made it, or
    where that is a vector, as the logits of a classification, `<task>.output.<i>`. Raises
    InputError where there are none.
    """
    _, files = _cell(Path(folder), variant, seed)
    try:
        kept = kept_predictions(files)
    except FileNotFoundError:
        raise InputError(_not_kept(folder, variant, seed, "predictions")) from None
    except Exception as error:
        raise InputError(f"{files.path('predictions')}: it cannot be read: {error}") from None
    wide = max(
        (told["output"][0].numel() for told in kept.values() if len(told["output"])), default=1
    )
    if wide > _MOST_COLUMNS:
        text = f"{files.path('predictions')}: {wide:,} numbers a sample are too many for columns"
        raise InputError(f"{text}; `torch.load` reads them as tensors")
    columns: dict[str, Tensor] = {}
    for task, told in kept.items():
        target, labelled = told["target"].double(), told["labelled"]
        labelled = labelled.reshape(-1, *[1] * (target.dim() - 1))
        columns |= _columns(f"{task}.target", target.masked_fill(~labelled, math.nan))
        columns |= _columns(f"{task}.output", told["output"])
    return pd.DataFrame({name: column.numpy() for name, column in columns.items()})


def _columns(name: str, values: Tensor) -> dict[str, Tensor]:
    """`[N]` as one column, `[N, ...]` as one for each number of a sample."""
    if values.dim() == 1:
        return {name: values}
    return {f"{name}.{i}": column for i, column in enumerate(values.flatten(1).unbind(1))}


def _cell(folder: Path, variant: str, seed: int) -> tuple[Record, Keep]:
    """The record of a cell that has finished, and where its files would be."""
    manifest, store = load_manifest(folder), Store(folder.parent)
    variants = {entry["name"]: entry for entry in manifest["variants"]}
    if variant not in variants:
        hint = nearest(str(variant), variants)
        text = f"`variant` must be one of {folder}: {listed(variants)}"
        raise InputError(f"{text}; found {found(variant)}{hint}")
    cells = {cell["seed"]: cell["record"] for cell in variants[variant]["train"]}
    if seed not in cells:
        text = f"`seed` must be one of {listed(map(str, cells))}, which '{variant}' has"
        raise InputError(f"{text}; found {found(seed)}")
    record = store.read(cells[seed])
    if record is None or record["status"] != "ok":
        why = "not run yet" if record is None else f"{record['status']}: {record['reason']}"
        raise InputError(f"{folder}: '{variant}' with seed {seed} has not finished: {why}")
    return record, Keep(store.kept(cells[seed]), ())


def _warn_if_changed(record: Record, what: str) -> None:
    """Say that a model is not the one that was trained: its code, data or libraries are others."""
    config, seed, data = record["config"], record["seed"], record["data"]
    now = {TrainCell(config, seed, data, device).id for device in ("cpu", "cuda")}
    if record["id"] not in now:
        text = "was trained by other code, or another PyTorch, than there is now"
        warnings.warn(f"{what} {text}: what it gives may differ", stacklevel=3)


def _data_of(config: Mapping[str, Any]) -> Description:
    """What a model is built for: the data where a model of one's own may look at them."""
    problems: list[Problem] = []
    if config["dataset"]["name"] not in DATASETS or describe(config["dataset"], problems) is None:
        told = problems[0].message if problems else f"unknown dataset '{config['dataset']['name']}'"
        raise InputError(f"{told} (components of your own have to be registered first)")
    if "name" not in config["model"]:
        return description_of(config)
    bundle = DATASETS[config["dataset"]["name"]](**settings_in(config["dataset"]))
    return bundle.select(config["modalities"], config["tasks"])


def _not_kept(folder: str | Path, variant: str, seed: int, what: str) -> str:
    text = f"{folder}: no {what} of '{variant}' with seed {seed} were kept"
    return f"{text}: set `train.keep: [{what}]` and run the suite again"
