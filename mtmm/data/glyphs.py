"""`glyphs`: images of characters in twelve faces, with their Unicode names.

An item is a character of a face, 28 x 28 pixels of grey, and the character's name as words. What
the image shows and the name does not say (family, weight, slant), what the name says and the image
only hints at (script, general category), and names with words missing make a data set on which
both modalities count.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import PIL
import torch
from numpy.typing import NDArray
from PIL import features
from torch import Tensor

from mtmm import source
from mtmm.data import glyph_faces
from mtmm.data.cache import cached, file_hash
from mtmm.settings import Range
from mtmm.spec import Batch, DataBundle, Description, Legend, Modality, Task

PAD_ID = 0
UNKNOWN_ID = 1
SMALLEST_LIMIT = 20
Share = Annotated[float, Range(low=0, below=1)]
Limit = Annotated[int, Range(low=SMALLEST_LIMIT)]
Seed = Annotated[int, Range(low=0, below=2**32)]
TRAIN_SHARE = 0.70
VAL_SHARE = 0.15

# Hashed on import, like that of glyph_faces.
SOURCE_HASH = source.file_hash(__file__)

_SPLIT_STREAM, _LIMIT_STREAM, _DROPOUT_STREAM = range(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is known of the data before a tensor is made: rows of the item table per split, and
    the token id of each word of the vocabulary.
    """

    rows: dict[str, NDArray[np.int64]]
    word_ids: dict[str, int]
    description: Description


def describe(
    *, word_dropout: Share = 0.0, limit: Limit | None = None, seed: Seed = 0
) -> Description:
    """The description of what `build` makes of the same settings; no image is drawn."""
    return _plan(word_dropout, limit, seed).description


def build(*, word_dropout: Share = 0.0, limit: Limit | None = None, seed: Seed = 0) -> DataBundle:
    """The data set: `image` float32 `[B, 1, 28, 28]` in 0..1, `text` int64 `[B, S]`, five tasks.

    The splits share no character. The vocabulary is the words of the train split's names; other
    words, and those that `word_dropout` drops, become the unknown token, so no text is empty.

    Args:
        word_dropout: probability in [0, 1) that a word of an item's name is lost; drawn once per
            item, in every split.
        limit: how many items to keep in all, drawn at random within each split; all if None.
        seed: seed of the split, of the items kept and of the words lost, in [0, 2**32).

    Raises:
        ValueError: a setting is out of its range.
    """
    plan = _plan(word_dropout, limit, seed)
    description = plan.description
    table = glyph_faces.items()
    images = cached("glyphs", _image_fingerprint(), lambda: {"images": glyph_faces.render()})
    texts = _texts(table.names, plan.word_ids, word_dropout, seed)
    splits = {
        split: _batch(rows, images["images"], texts, table.labels)
        for split, rows in plan.rows.items()
    }
    return DataBundle(
        modalities=description.modalities,
        tasks=description.tasks,
        fingerprint=description.fingerprint,
        **splits,
    )


def legend(*, word_dropout: Share = 0.0, limit: Limit | None = None, seed: Seed = 0) -> Legend:
    """The words of the text, and the classes of all tasks; settings are those of `build`."""
    plan, table = _plan(word_dropout, limit, seed), glyph_faces.items()
    return Legend({"text": ("", "?", *sorted(plan.word_ids))}, table.classes)


def split_rows(*, limit: int | None = None, seed: int = 0) -> dict[str, NDArray[np.int64]]:
    """Per split, the rows of the item table that its samples are, in the samples' order.

    All items of a character are in one split. Arguments and errors are those of `build`.
    """
    table = glyph_faces.items()
    _validate(limit, seed, len(table.names))
    characters = _random(seed, _SPLIT_STREAM).permutation(np.unique(table.code_point))
    train_end = round(TRAIN_SHARE * len(characters))
    val_end = round((TRAIN_SHARE + VAL_SHARE) * len(characters))
    parts = np.split(characters, [train_end, val_end])
    rows = {
        split: np.flatnonzero(np.isin(table.code_point, part))
        for split, part in zip(("train", "val", "test"), parts, strict=True)
    }
    return rows if limit is None else _subsample(rows, limit, seed)


def _plan(word_dropout: float, limit: int | None, seed: int) -> _Plan:
    if not 0 <= word_dropout < 1:
        raise ValueError(f"word_dropout must be in [0, 1); found {word_dropout}")
    table = glyph_faces.items()
    rows = split_rows(limit=limit, seed=seed)
    train_words = {word for row in rows["train"] for word in table.names[row].split()}
    word_ids = {word: UNKNOWN_ID + 1 + rank for rank, word in enumerate(sorted(train_words))}
    description = Description(
        modalities=(
            Modality(
                name="image",
                kind="image",
                shape=(1, glyph_faces.IMAGE_SIZE, glyph_faces.IMAGE_SIZE),
            ),
            Modality(
                name="text",
                kind="text",
                shape=(max(len(name.split()) for name in table.names),),
                vocabulary=UNKNOWN_ID + 1 + len(word_ids),
                pad_id=PAD_ID,
            ),
        ),
        tasks=tuple(
            Task(name=task, kind="classification", classes=len(classes))
            for task, classes in table.classes.items()
        ),
        fingerprint=_fingerprint(word_dropout, limit, seed),
    )
    return _Plan(rows=rows, word_ids=word_ids, description=description)


def _validate(limit: int | None, seed: int, items: int) -> None:
    if limit is not None and not SMALLEST_LIMIT <= limit <= items:
        raise ValueError(
            f"limit must be at least {SMALLEST_LIMIT} and at most the number of items, {items}; "
            f"found {limit}"
        )
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must be in [0, 2**32); found {seed}")


def _random(seed: int, stream: int) -> np.random.RandomState:
    # The legacy generator: NumPy guarantees its streams from release to release.
    return np.random.RandomState([seed, stream])


def _subsample(
    rows: dict[str, NDArray[np.int64]], limit: int, seed: int
) -> dict[str, NDArray[np.int64]]:
    """`limit` of the rows in all, spread over the splits like the whole."""
    total = sum(len(part) for part in rows.values())
    sizes = {split: round(limit * len(rows[split]) / total) for split in ("val", "test")}
    sizes["train"] = limit - sizes["val"] - sizes["test"]
    random = _random(seed, _LIMIT_STREAM)
    return {
        split: np.sort(random.permutation(part)[: sizes[split]]) for split, part in rows.items()
    }


def _texts(
    names: tuple[str, ...], word_ids: dict[str, int], word_dropout: float, seed: int
) -> NDArray[np.int64]:
    """Token ids `[N, S]` of all names, padded at the end."""
    words = [name.split() for name in names]
    ids = np.full((len(words), max(map(len, words))), PAD_ID)
    for row, name in enumerate(words):
        ids[row, : len(name)] = [word_ids.get(word, UNKNOWN_ID) for word in name]
    # Drawn for every word of every item, so that an item's text does not depend on the limit.
    dropped = _random(seed, _DROPOUT_STREAM).random_sample(ids.shape) < word_dropout
    return np.where(dropped & (ids != PAD_ID), UNKNOWN_ID, ids)


def _batch(
    rows: NDArray[np.int64],
    images: Tensor,
    texts: NDArray[np.int64],
    labels: dict[str, NDArray[np.int64]],
) -> Batch:
    index = torch.from_numpy(rows)
    everywhere = torch.ones(len(rows), dtype=torch.bool)
    return Batch(
        inputs={
            "image": images.index_select(0, index).unsqueeze(1).float().div_(255),
            "text": torch.from_numpy(texts[rows]),
        },
        targets={task: torch.from_numpy(column[rows]) for task, column in labels.items()},
        present={"image": everywhere, "text": everywhere.clone()},
        labelled={task: everywhere.clone() for task in labels},
    )


def _image_fingerprint() -> str:
    """A hash over what determines the item table and its images."""
    parts = {
        "fonts": file_hash(face.path for face in glyph_faces.faces()),
        "source": glyph_faces.SOURCE_HASH,
        "unicode": unicodedata.unidata_version,
        "pillow": PIL.__version__,
        "freetype": features.version("freetype2"),
    }
    return _hash(parts)


def _fingerprint(word_dropout: float, limit: int | None, seed: int) -> str:
    parts = {
        "images": _image_fingerprint(),
        "source": SOURCE_HASH,
        "word_dropout": float(word_dropout),
        "limit": limit,
        "seed": seed,
    }
    return _hash(parts)


def _hash(parts: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
