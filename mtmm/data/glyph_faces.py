"""The characters of the DejaVu faces that matplotlib ships: their table, labels and images."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.ft2font import FT2Font
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mtmm import source

IMAGE_SIZE = 28
FONT_SIZE = 22
BASELINE = 21
SCRIPTS = 15
OTHER = "OTHER"

# Hashed on import: by the time a process draws, the file may hold other code than what it runs.
SOURCE_HASH = source.file_hash(__file__)

_SLANTED = {"sans": "Oblique", "mono": "Oblique", "serif": "Italic"}
_STEMS = {"sans": "DejaVuSans", "mono": "DejaVuSansMono", "serif": "DejaVuSerif"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One font file and what distinguishes it from the others."""

    path: Path
    family: str
    weight: str
    slant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """Every named character of every face, N in all, ordered by face and code point.

    `face` (an index into `faces()`) and `code_point` are int64 `[N]`, `names` has N Unicode names.
    `labels[task]` is int64 `[N]`, an index into `classes[task]`.
    """

    face: NDArray[np.int64]
    code_point: NDArray[np.int64]
    names: tuple[str, ...]
    labels: dict[str, NDArray[np.int64]]
    classes: dict[str, tuple[str, ...]]


def faces() -> tuple[Face, ...]:
    """The twelve faces: three families by two weights by two slants."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    found = []
    for family, stem in _STEMS.items():
        for weight, bold in (("regular", ""), ("bold", "Bold")):
            for slant, slanted in (("upright", ""), ("oblique", _SLANTED[family])):
                style = bold + slanted
                path = folder / (f"{stem}-{style}.ttf" if style else f"{stem}.ttf")
                found.append(Face(path=path, family=family, weight=weight, slant=slant))
    return tuple(found)


@cache
def items() -> Items:
    """The table of all items, read from the faces' character maps (no image is drawn)."""
    face, code_point, names = [], [], []
    for index, one in enumerate(faces()):
        for code in sorted(FT2Font(str(one.path)).get_charmap()):
            name = unicodedata.name(chr(code), None)
            if name is not None:
                face.append(index)
                code_point.append(code)
                names.append(name)
    values = _label_values(face, code_point, names)
    classes = {task: _class_order(task, column) for task, column in values.items()}
    return Items(
        face=np.array(face),
        code_point=np.array(code_point),
        names=tuple(names),
        labels={task: _indices(column, classes[task]) for task, column in values.items()},
        classes=classes,
    )


def _label_values(
    face: Sequence[int], code_point: Sequence[int], names: Sequence[str]
) -> dict[str, list[str]]:
    """Per task, the label of each item as text."""
    by_face = faces()
    first_words = [name.split()[0] for name in names]
    counts = Counter(first_words)
    frequent = set(sorted(counts, key=lambda word: (-counts[word], word))[:SCRIPTS])
    return {
        "script": [word if word in frequent else OTHER for word in first_words],
        "category": [unicodedata.category(chr(code)) for code in code_point],
        "family": [by_face[index].family for index in face],
        "weight": [by_face[index].weight for index in face],
        "slant": [by_face[index].slant for index in face],
    }


def _class_order(task: str, column: list[str]) -> tuple[str, ...]:
    """The classes of a task: scripts and categories by name, OTHER last; faces as declared."""
    if task in ("family", "weight", "slant"):
        return tuple(dict.fromkeys(column))
    return tuple(sorted(set(column), key=lambda label: (label == OTHER, label)))


def _indices(column: list[str], classes: tuple[str, ...]) -> NDArray[np.int64]:
    index = {label: position for position, label in enumerate(classes)}
    return np.array([index[label] for label in column])


def render() -> Tensor:
    """The images of all items, uint8 `[N, 28, 28]`: ink on zero, the baseline always in one row.

    The width of the ink is centred, for marks that combine with a letter have no advance of their
    own. One size for all keeps what tells the families and weights apart: proportions and stems.
    What is larger than the image is cut off at its border.
    """
    table = items()
    images = np.zeros((len(table.names), IMAGE_SIZE, IMAGE_SIZE), dtype=np.uint8)
    for index, face in enumerate(faces()):
        font = ImageFont.truetype(str(face.path), FONT_SIZE, layout_engine=ImageFont.Layout.BASIC)
        for row in np.flatnonzero(table.face == index):
            images[row] = _draw(chr(table.code_point[row]), font)
    return torch.from_numpy(images)


def _draw(character: str, font: ImageFont.FreeTypeFont) -> NDArray[np.uint8]:
    canvas = Image.new("L", (IMAGE_SIZE, IMAGE_SIZE))
    left, _, right, _ = font.getbbox(character, anchor="ls")
    x = round((IMAGE_SIZE - left - right) / 2)
    ImageDraw.Draw(canvas).text((x, BASELINE), character, fill=255, font=font, anchor="ls")
    return np.asarray(canvas)
