"""Fusions by name: from what each modality's encoder made to one feature or prediction."""

from __future__ import annotations

from mtmm.fusion.base import Fusion
from mtmm.fusion.bilinear import Bilinear
from mtmm.fusion.bottleneck import Bottleneck
from mtmm.fusion.concat import Concat
from mtmm.fusion.cross_attention import CrossAttention
from mtmm.fusion.early import Early
from mtmm.fusion.film import FiLM
from mtmm.fusion.gated import Gated
from mtmm.fusion.gmu import GMU
from mtmm.fusion.late_learned import LateLearned
from mtmm.fusion.late_mean_logit import LateMeanLogit
from mtmm.fusion.late_mean_prob import LateMeanProb
from mtmm.fusion.late_product import LateProduct
from mtmm.fusion.lowrank import LowRank
from mtmm.fusion.max import Max
from mtmm.fusion.mean import Mean
from mtmm.fusion.mi import MI
from mtmm.fusion.mi_diag import DiagonalMI
from mtmm.fusion.mixture import Mixture
from mtmm.fusion.mlb import MLB
from mtmm.fusion.none import NoFusion
from mtmm.fusion.product import Product
from mtmm.fusion.sum import Sum
from mtmm.fusion.tensor import TensorFusion
from mtmm.fusion.weighted import Weighted

FUSIONS: dict[str, type[Fusion]] = {
    "bilinear": Bilinear,
    "bottleneck": Bottleneck,
    "concat": Concat,
    "cross_attention": CrossAttention,
    "early": Early,
    "film": FiLM,
    "gated": Gated,
    "gmu": GMU,
    "late_learned": LateLearned,
    "late_mean_logit": LateMeanLogit,
    "late_mean_prob": LateMeanProb,
    "late_product": LateProduct,
    "lowrank": LowRank,
    "max": Max,
    "mean": Mean,
    "mi": MI,
    "mi_diag": DiagonalMI,
    "mixture": Mixture,
    "mlb": MLB,
    "none": NoFusion,
    "product": Product,
    "sum": Sum,
    "tensor": TensorFusion,
    "weighted": Weighted,
}
