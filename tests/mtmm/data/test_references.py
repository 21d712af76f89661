"""Published views against figures measured with scikit-learn, and our linear model against those.

The figures: standardised features, multinomial logistic regression, five stratified 80/20 splits
with seed 0; mean and standard deviation over the splits, in %.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bench.training import train
from bench.variant import resolve_variant
from mtmm.data.mfeat import VIEWS, default_folder, file_name
from mtmm.data.splits import bundle, complete
from mtmm.settings import Problem
from mtmm.spec import DataBundle, Description, Modality, Task

MFEAT = {
    "fac": (98.05, 0.24),
    "pix": (97.05, 0.83),
    "kar": (94.90, 0.75),
    "zer": (82.55, 0.84),
    "fou": (81.55, 1.85),
    "mor": (73.50, 1.01),
    "fou+zer": (88.60, 0.93),
    "fou+mor": (86.60, 1.35),
    "mor+zer": (84.65, 0.93),
}
DIGITS = {
    "left": (86.94, 1.60),
    "right": (88.33, 1.56),
    "top": (86.06, 1.20),
    "bottom": (86.67, 1.62),
    "left+right": (96.67, 0.98),
}
FloatArray = NDArray[np.float64]
there = pytest.mark.skipif(
    not all((default_folder() / file_name(view)).is_file() for view in VIEWS),
    reason="the tables of mfeat are not there: make data",
)


def _halves() -> tuple[dict[str, FloatArray], NDArray[np.int64]]:
    data = load_digits()
    images = data.images
    views = {
        "left": images[:, :, :4],
        "right": images[:, :, 4:],
        "top": images[:, :4],
        "bottom": images[:, 4:],
    }
    return {name: x.reshape(len(x), -1) for name, x in views.items()}, data.target


def _tables() -> tuple[dict[str, FloatArray], NDArray[np.int64]]:
    folder: Path = default_folder()
    tables = {v: np.loadtxt(folder / file_name(v), delimiter=",", skiprows=1) for v in VIEWS}
    digits = tables["fac"][:, -1].astype(np.int64)
    return {view: table[:, :-1] for view, table in tables.items()}, digits


def _splits(x: FloatArray, y: NDArray[np.int64]) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    return list(StratifiedShuffleSplit(5, test_size=0.2, random_state=0).split(x, y))


def _regression(views: Sequence[FloatArray], y: NDArray[np.int64], c: float) -> float:
    x = np.concatenate(views, axis=1)
    rights = []
    for train_rows, test_rows in _splits(x, y):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=2000))
        rights.append(model.fit(x[train_rows], y[train_rows]).score(x[test_rows], y[test_rows]))
    return 100 * float(np.mean(rights))


def _linear_model(views: dict[str, FloatArray], y: NDArray[np.int64]) -> float:
    """Our own: identity encoders, concatenation, a linear head and nothing that is not linear."""
    rights = []
    for train_rows, test_rows in _splits(next(iter(views.values())), y):
        data = _bundle(views, y, train_rows, test_rows)
        result = train(_config(data), data, seed=0, device=torch.device("cpu"))
        rights.append(result["test"]["digit"]["accuracy"])
    return 100 * float(np.mean(rights))


def _bundle(
    views: dict[str, FloatArray],
    y: NDArray[np.int64],
    train_rows: NDArray[Any],
    test_rows: NDArray[Any],
) -> DataBundle:
    scaled = {}
    for name, x in views.items():
        mean, sd = x[train_rows].mean(0), x[train_rows].std(0)
        scaled[name] = ((x - mean) / np.where(sd > 0, sd, 1)).astype(np.float32)
    parts = {
        split: complete({name: x[rows] for name, x in scaled.items()}, {"digit": y[rows]})
        # The last epoch is what counts: val chooses by the training data.
        for split, rows in (("train", train_rows), ("val", train_rows), ("test", test_rows))
    }
    modalities = tuple(
        Modality(name=name, kind="vector", shape=(x.shape[1],)) for name, x in views.items()
    )
    tasks = (Task(name="digit", kind="classification", classes=10),)
    return bundle(Description(modalities=modalities, tasks=tasks, fingerprint="x"), parts)


def _config(data: DataBundle) -> dict[str, Any]:
    raw: dict[str, Any] = {
        "dataset": {"name": "interactions"},
        "train": {
            "epochs": 40,
            "batch_size": 64,
            "optimizer": {"name": "adamw", "lr": 2e-3, "weight_decay": 0.01},
        },
    }
    problems: list[Problem] = []
    config = copy.deepcopy(resolve_variant(raw, problems))
    assert not problems
    names = [modality.name for modality in data.modalities]
    config |= {"modalities": names, "tasks": ["digit"]}
    config["model"]["encoders"] = {name: {"name": "identity"} for name in names}
    config["model"]["heads"] = {"digit": {"name": "classification"}}
    config["model"]["fusion"] = {"name": "concat" if len(names) > 1 else "none"}
    return config


@there
@pytest.mark.parametrize("names", MFEAT)
def test_logistic_regression_on_mfeat_gives_the_known_figures(names: str) -> None:
    views, digits = _tables()
    mean, sd = MFEAT[names]
    assert _regression([views[v] for v in names.split("+")], digits, 1.0) == pytest.approx(
        mean, abs=sd
    )


@pytest.mark.parametrize("names", DIGITS)
def test_logistic_regression_on_halves_gives_the_known_figures(names: str) -> None:
    views, digits = _halves()
    mean, sd = DIGITS[names]
    assert _regression([views[v] for v in names.split("+")], digits, 10.0) == pytest.approx(
        mean, abs=sd
    )


@there
@pytest.mark.slow
@pytest.mark.parametrize("names", ["fou", "mor", "fou+zer", "mor+zer"])
def test_our_linear_model_on_mfeat_reproduces_them(names: str) -> None:
    views, digits = _tables()
    mean, sd = MFEAT[names]
    ours = _linear_model({v: views[v] for v in names.split("+")}, digits)
    assert ours == pytest.approx(mean, abs=sd)


@pytest.mark.slow
@pytest.mark.parametrize("names", ["left", "bottom", "left+right"])
def test_our_linear_model_on_halves_reproduces_them(names: str) -> None:
    views, digits = _halves()
    mean, sd = DIGITS[names]
    ours = _linear_model({v: views[v] for v in names.split("+")}, digits)
    assert ours == pytest.approx(mean, abs=sd)
