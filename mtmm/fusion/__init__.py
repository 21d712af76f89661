"""Fusions by name: from one feature per modality to one feature."""

from __future__ import annotations

from mtmm.fusion.base import Fusion
from mtmm.fusion.bilinear import Bilinear
from mtmm.fusion.concat import Concat
from mtmm.fusion.film import FiLM
from mtmm.fusion.gated import Gated
from mtmm.fusion.gmu import GMU
from mtmm.fusion.lowrank import LowRank
from mtmm.fusion.max import Max
from mtmm.fusion.mean import Mean
from mtmm.fusion.mi import MI
from mtmm.fusion.mi_diag import DiagonalMI
from mtmm.fusion.mlb import MLB
from mtmm.fusion.none import NoFusion
from mtmm.fusion.product import Product
from mtmm.fusion.sum import Sum
from mtmm.fusion.tensor import TensorFusion
from mtmm.fusion.weighted import Weighted

FUSIONS: dict[str, type[Fusion]] = {
    "bilinear": Bilinear,
    "concat": Concat,
    "film": FiLM,
    "gated": Gated,
    "gmu": GMU,
    "lowrank": LowRank,
    "max": Max,
    "mean": Mean,
    "mi": MI,
    "mi_diag": DiagonalMI,
    "mlb": MLB,
    "none": NoFusion,
    "product": Product,
    "sum": Sum,
    "tensor": TensorFusion,
    "weighted": Weighted,
}
