"""What token ids and classes of a data set stand for, where it can say so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mtmm.data import glyph_faces, glyphs


@dataclass(frozen=True, slots=True)
class Legend:
    """Words by token id of each text, and names by class of each task; empty where unknown."""

    words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)


def legend(name: str, settings: Mapping[str, Any]) -> Legend:
    """The legend of the data set of that name with these settings."""
    known = _LEGENDS.get(name)
    return Legend() if known is None else known(settings)


def _glyphs(settings: Mapping[str, Any]) -> Legend:
    table = glyph_faces.items()
    rows = glyphs.split_rows(limit=settings.get("limit"), seed=settings.get("seed", 0))
    words = sorted({word for row in rows["train"] for word in table.names[row].split()})
    return Legend({"text": ("", "?", *words)}, table.classes)


def _table(settings: Mapping[str, Any]) -> Legend:
    from mtmm.data.tables.bundle import read

    parts = (settings.get(key, {}) for key in ("inputs", "tasks", "split"))
    table = read(settings["file"], *(part or {} for part in parts))
    return Legend(
        {name: part.words for name, part in table.inputs.items() if part.words},
        {name: target.classes for name, target in table.targets.items() if target.classes},
    )


_LEGENDS: Mapping[str, Callable[[Mapping[str, Any]], Legend]] = {"glyphs": _glyphs, "table": _table}
