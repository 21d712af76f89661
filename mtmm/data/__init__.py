"""Data sets by name. Called with its settings, one builds a `DataBundle`."""

from __future__ import annotations

from mtmm.data import glyphs
from mtmm.data.base import Dataset

DATASETS: dict[str, Dataset] = {
    "glyphs": Dataset(glyphs.build, glyphs.describe),
}
