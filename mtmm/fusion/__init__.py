"""Fusions by name: from one feature per modality to one feature."""

from __future__ import annotations

from mtmm.fusion.base import Fusion
from mtmm.fusion.concat import Concat
from mtmm.fusion.gated import Gated
from mtmm.fusion.none import NoFusion
from mtmm.fusion.sum import Sum

FUSIONS: dict[str, type[Fusion]] = {
    "concat": Concat,
    "gated": Gated,
    "none": NoFusion,
    "sum": Sum,
}
