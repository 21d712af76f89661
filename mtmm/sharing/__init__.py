"""Sharing architectures by name: how tasks share paths."""

from __future__ import annotations

from mtmm.sharing.base import Sharing
from mtmm.sharing.branch import Branch
from mtmm.sharing.cgc import CGC
from mtmm.sharing.cross_stitch import CrossStitch
from mtmm.sharing.dselect_k import DSelectK
from mtmm.sharing.hard import Hard
from mtmm.sharing.mmoe import MMoE
from mtmm.sharing.mtan import MTAN
from mtmm.sharing.nddr import NDDR
from mtmm.sharing.ple import PLE
from mtmm.sharing.separate import Separate

SHARINGS: dict[str, type[Sharing]] = {
    "branch": Branch,
    "cgc": CGC,
    "cross_stitch": CrossStitch,
    "dselect_k": DSelectK,
    "hard": Hard,
    "mmoe": MMoE,
    "mtan": MTAN,
    "nddr": NDDR,
    "ple": PLE,
    "separate": Separate,
}
