"""`mfeat`: UCI Multiple Features, 2,000 handwritten digits seen in six ways.

Fourier coefficients (fou, 76), profile correlations (fac, 216), Karhunen-Loève coefficients (kar,
64), pixel averages (pix, 240), Zernike moments (zer, 47) and morphological features (mor, 6). All
six together are nearly solved by a linear model; the pairs of fou, zer and mor leave room.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from mtmm import source
from mtmm.data.cache import cache_dir, file_hash
from mtmm.data.splits import bundle, complete, digit_tasks, fingerprint, stratified
from mtmm.settings import Range
from mtmm.spec import DataBundle, Description, Modality, Task

Seed = Annotated[int, Range(low=0, below=2**32)]

VIEWS = {"fac": 216, "fou": 76, "kar": 64, "mor": 6, "pix": 240, "zer": 47}
TASKS = {"digit": 10, "parity": 2}
SOURCE_HASH = source.file_hash(__file__)


def describe(*, folder: str | None = None, split_seed: Seed = 0) -> Description:
    """The description of what `build` makes of the same settings; ValueError without its files."""
    return Description(
        modalities=tuple(
            Modality(name=name, kind="vector", shape=(dim,)) for name, dim in VIEWS.items()
        ),
        tasks=tuple(Task(name=t, kind="classification", classes=n) for t, n in TASKS.items()),
        fingerprint=fingerprint(
            source=SOURCE_HASH, files=file_hash(_files(folder).values()), split_seed=split_seed
        ),
    )


def build(*, folder: str | None = None, split_seed: Seed = 0) -> DataBundle:
    """The six views, float32 `[B, D]`, each column with mean 0 and variance 1 in train.

    200 of each digit, 60/20/20 in train, val and test. `folder` is that of the six files
    `mfeat-fac.csv` to `mfeat-zer.csv`, by default where `make data` puts them: `mfeat` in the
    folder of cached files. Their first line is a header, their last column the digit.
    """
    tables = {name: _read(path, VIEWS[name]) for name, path in _files(folder).items()}
    digits = tables["fac"][:, -1].astype(np.int64)
    for name, table in tables.items():
        if not np.array_equal(table[:, -1], digits):
            raise ValueError(f"the rows of mfeat-{name}.csv must be those of mfeat-fac.csv")
    rows = stratified(digits, split_seed)
    views = {name: _standardised(table[:, :-1], rows["train"]) for name, table in tables.items()}
    splits = {
        split: complete(
            {name: view[index] for name, view in views.items()},
            digit_tasks(digits[index], list(TASKS)),
        )
        for split, index in rows.items()
    }
    return bundle(describe(folder=folder, split_seed=split_seed), splits)


def default_folder() -> Path:
    """Where `make data` puts the files."""
    return cache_dir() / "mfeat"


def file_name(view: str) -> str:
    """The name of a view's file."""
    return f"mfeat-{view}.csv"


def _files(folder: str | None) -> dict[str, Path]:
    place = default_folder() if folder is None else Path(folder).expanduser()
    files = {name: place / file_name(name) for name in VIEWS}
    missing = [path.name for path in files.values() if not path.is_file()]
    if missing:
        told = f"{', '.join(missing)} of dataset 'mfeat' must be in {place}"
        raise ValueError(f"{told}: `make data` puts them there, or set `folder`")
    return files


def _read(path: Path, dim: int) -> NDArray[np.float64]:
    return _table(path, path.stat().st_mtime_ns, dim)


@lru_cache(maxsize=len(VIEWS))
def _table(path: Path, changed: int, dim: int) -> NDArray[np.float64]:
    try:
        table = np.loadtxt(path, delimiter=",", skiprows=1)
    except ValueError as error:
        raise ValueError(f"{path} must hold numbers below a header: {error}") from None
    if table.ndim != 2 or table.shape[1] != dim + 1:
        found = list(table.shape)
        raise ValueError(f"{path} must have {dim} features and a digit in each row; found {found}")
    return table


def _standardised(view: NDArray[np.float64], train: NDArray[np.int64]) -> NDArray[np.float32]:
    known = view[train]
    scale = known.std(0)
    scaled = (view - known.mean(0)) / np.where(scale > 0, scale, 1.0)
    return np.asarray(scaled, dtype=np.float32)
