"""Sharing architectures by name: how tasks share paths."""

from __future__ import annotations

from mtmm.sharing.base import Sharing
from mtmm.sharing.hard import Hard
from mtmm.sharing.separate import Separate

SHARINGS: dict[str, type[Sharing]] = {
    "hard": Hard,
    "separate": Separate,
}
