"""A table of one's own for tests: 300 real glyphs with names and measures, some cells missing."""

from __future__ import annotations

import csv
import unicodedata
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageFont

from mtmm.data.table import describe

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
FACES = ("DejaVuSans.ttf", "DejaVuSerif-Bold.ttf")
BLOCKS = ((0x41, 0x5B), (0x61, 0x7B), (0x391, 0x3A2), (0x3B1, 0x3C2), (0x410, 0x460))


def write_glyphs(folder: Path, count: int = 300) -> Path:
    """Images and `glyphs.csv` with `photo, note, width, ink, script, height, part`."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    characters = [chr(code) for low, high in BLOCKS for code in range(low, high)]
    rows = []
    for i in range(count):
        character = characters[(7 * i) % len(characters)]
        face = FACES[i // len(characters) % len(FACES)]
        font = ImageFont.truetype(str(FONTS / face), 18 + i % 5)
        image = Image.new("L", (32, 32))
        ImageDraw.Draw(image).text((16, 16), character, fill=255, font=font, anchor="mm")
        image.save(folder / "images" / f"{i}.png")
        left, top, right, bottom = image.getbbox() or (0, 0, 0, 0)
        ink = sum(image.tobytes()) / 255 / 32**2
        name = unicodedata.name(character)
        rows.append(
            {
                "photo": "" if i % 11 == 5 else f"images/{i}.png",
                "note": "" if i % 13 == 5 else name,
                "width": right - left,
                "ink": "" if i % 17 == 5 else f"{ink:.4f}",
                "script": "" if i % 19 == 5 else name.split()[0].lower(),
                "height": "" if i % 23 == 5 else bottom - top,
                "part": ("train", "train", "train", "val", "test")[i % 5],
            }
        )
    path = folder / "glyphs.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


INPUTS: dict[str, Any] = {
    "photo": {"kind": "image", "column": "photo", "size": 24, "channels": 1},
    "note": {"kind": "text", "column": "note", "length": 5},
    "measures": {"kind": "vector", "columns": ["width", "ink"]},
}
TASKS: dict[str, Any] = {
    "script": {"kind": "classification", "column": "script"},
    "height": {"kind": "regression", "column": "height"},
}
"""Inputs and tasks of `glyphs.csv`."""


def write_table(folder: Path, **columns: list[Any]) -> str:
    """A CSV file with these columns; its path."""
    pd.DataFrame(columns).to_csv(folder / "t.csv", index=False)
    return str(folder / "t.csv")


def what_is_wrong(file: str, **settings: Any) -> str:
    """What `describe` says of these settings."""
    with pytest.raises(ValueError, match=r"\w") as caught:
        describe(file=file, **settings)
    return str(caught.value)
