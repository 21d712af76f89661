"""Heads by the kind of task they serve."""

from __future__ import annotations

from mtmm.heads.base import Head
from mtmm.heads.classification import ClassificationHead

HEADS: dict[str, type[Head]] = {
    "classification": ClassificationHead,
}
