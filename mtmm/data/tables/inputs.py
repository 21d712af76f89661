"""An input of a table: what it will be, and its tensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtmm.data.cache import cached
from mtmm.data.tables import pictures, sounds, words
from mtmm.data.tables.cells import numbers, shown
from mtmm.data.tables.files import no_file
from mtmm.data.tables.spec import Part
from mtmm.spec import Modality

Made = tuple[Tensor, Tensor]
"""Inputs `[N, *shape]` and whether they are there `[N]`."""

Stamp = tuple[str, int, int]
"""Path, size and time of change of a file."""


@dataclass(frozen=True, slots=True)
class Input:
    """A modality, what its files are, and how its tensors are made of the rows of train.

    `files` is what the fingerprint of the data set says of them, as of JSON. `words` are those of
    the token ids of a text.
    """

    modality: Modality
    files: object
    make: Callable[[], Made]
    words: tuple[str, ...] = ()


def read_input(
    part: Part, table: pd.DataFrame, folder: Path, train: NDArray[np.int64], problems: list[str]
) -> Input | None:
    """The input; None where something is wrong with it, which goes to `problems`."""
    before = len(problems)
    made = _READERS[part.kind](part, table, folder, train, problems)
    return made if len(problems) == before else None


def _vector(
    part: Part, table: pd.DataFrame, folder: Path, train: NDArray[np.int64], problems: list[str]
) -> Input:
    columns = [numbers(table, column, problems) for column in part.columns]

    def make() -> Made:
        values = np.stack(columns, axis=1)
        known = values[train]
        empty = np.isnan(known).all(0)
        mean = np.where(empty, 0, np.nanmean(np.where(empty, 0, known), axis=0))
        sd = np.nanstd(np.where(empty, 0, known), axis=0)
        scaled = (values - mean) / np.where(sd > 0, sd, 1)
        # A number that is missing beside others is the mean of train.
        there = ~np.isnan(values).all(1)
        return torch.from_numpy(np.nan_to_num(scaled).astype(np.float32)), torch.from_numpy(there)

    return Input(Modality(name=part.name, kind="vector", shape=(len(columns),)), {}, make)


def _text(
    part: Part, table: pd.DataFrame, folder: Path, train: NDArray[np.int64], problems: list[str]
) -> Input | None:
    texts: list[str | None] = table[part.columns[0]].tolist()
    length, own = int(part.settings["length"]), str(part.settings["tokenizer"])
    files: dict[str, str] = {}
    try:
        if own:
            encode, known = words.file_tokens(folder / own)
            files = {own: hashlib.sha256((folder / own).read_bytes()).hexdigest()}
        else:
            of_train = [text for text in (texts[row] for row in train) if text is not None]
            encode, known = words.word_tokens(of_train, int(part.settings["vocabulary"]))
    except ValueError as error:
        problems.append(str(error))
        return None

    def make() -> Made:
        ids, there = words.token_ids(texts, encode, length)
        return torch.from_numpy(ids), torch.from_numpy(there)

    modality = Modality(name=part.name, kind="text", shape=(length,), vocabulary=len(known))
    return Input(modality, files, make, known)


def _image(
    part: Part, table: pd.DataFrame, folder: Path, train: NDArray[np.int64], problems: list[str]
) -> Input | None:
    size, channels = int(part.settings["size"]), int(part.settings["channels"])
    if channels not in (1, 3) or size < 1:
        text = f"input '{part.name}' needs a `size` of at least 1 and 1 or 3 `channels`"
        problems.append(f"{text}; found {size} and {channels}")
        return None
    paths = _paths(part, table, folder, pictures.why_not, problems)
    files = _stamps(paths)

    def make() -> Made:
        key = _key(files, source=pictures.SOURCE_HASH, size=size, channels=channels)
        pixels = cached("images", key, lambda: {"pixels": pictures.decode(paths, size, channels)})[
            "pixels"
        ]
        there = torch.tensor([path is not None for path in paths])
        return _standardised(pixels.float(), there, train), there

    return Input(Modality(name=part.name, kind="image", shape=(channels, size, size)), files, make)


def _audio(
    part: Part, table: pd.DataFrame, folder: Path, train: NDArray[np.int64], problems: list[str]
) -> Input | None:
    rate, bands = int(part.settings["rate"]), int(part.settings["bands"])
    seconds = float(part.settings["seconds"])
    if rate < 1000 or seconds < 0.05 or bands < 1:
        text = (
            f"input '{part.name}' needs a `rate` of at least 1000, 0.05 `seconds` and 1 of `bands`"
        )
        problems.append(f"{text}; found {rate}, {seconds} and {bands}")
        return None
    paths = _paths(part, table, folder, sounds.why_not, problems)
    files = _stamps(paths)

    def make() -> Made:
        key = _key(files, source=sounds.SOURCE_HASH, rate=rate, seconds=seconds, bands=bands)
        spectra = cached(
            "sounds", key, lambda: {"spectra": sounds.spectra(paths, rate, seconds, bands)}
        )["spectra"]
        there = torch.tensor([path is not None for path in paths])
        return _standardised(spectra, there, train), there

    shape = (1, bands, sounds.frames(seconds))
    return Input(Modality(name=part.name, kind="audio", shape=shape), files, make)


def _paths(
    part: Part,
    table: pd.DataFrame,
    folder: Path,
    why_not: Callable[[Path], str | None],
    problems: list[str],
) -> Sequence[Path | None]:
    """The files of a column, None where a cell is missing."""
    column = part.columns[0]
    paths = [None if cell is None else folder / cell for cell in table[column]]
    wrong = [None if path is None else no_file(path) or why_not(path) for path in paths]
    strange = np.array([text is not None for text in wrong])
    told = shown(table, column, strange, lambda row: f" {wrong[row]}")
    if told:
        problems.append(f"column '{column}' must hold paths of files that can be read; {told}")
    return paths


def _stamps(paths: Sequence[Path | None]) -> list[Stamp | None]:
    """Path, size and time of change of the file of each row: decoded anew when it is another."""
    stamps: list[Stamp | None] = []
    for path in paths:
        if path is None or no_file(path) is not None:
            stamps.append(None)
            continue
        stat = path.stat()
        stamps.append((str(path), stat.st_size, stat.st_mtime_ns))
    return stamps


def _key(files: Sequence[Stamp | None], **settings: object) -> str:
    text = json.dumps([files, settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _standardised(x: Tensor, there: Tensor, train: NDArray[np.int64]) -> Tensor:
    """With mean 0 and variance 1 in each channel over what is there in train; absent ones are 0."""
    rows = torch.from_numpy(train)
    known = x[rows[there[rows]]]
    if len(known):
        x = (x - known.mean((0, 2, 3), keepdim=True)) / known.std(
            (0, 2, 3), keepdim=True, correction=0
        ).clamp(min=1e-6)
    return torch.where(there[:, None, None, None], x, 0.0)


_READERS: Mapping[str, Callable[..., Input | None]] = {
    "audio": _audio,
    "image": _image,
    "text": _text,
    "vector": _vector,
}
