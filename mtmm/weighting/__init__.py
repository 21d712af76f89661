"""Loss weightings by name: from per-task losses to weights."""

from __future__ import annotations

from mtmm.weighting.base import Weighting
from mtmm.weighting.equal import Equal
from mtmm.weighting.static import Static
from mtmm.weighting.uncertainty import Uncertainty

WEIGHTINGS: dict[str, type[Weighting]] = {
    "equal": Equal,
    "static": Static,
    "uncertainty": Uncertainty,
}
