"""Loss weightings by name: from what a step knows of its tasks to the weight of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from mtmm.registry import raise_for, resolve
from mtmm.settings import Problem
from mtmm.weighting.aligned import AlignedMTL
from mtmm.weighting.base import Weighting
from mtmm.weighting.cagrad import CAGrad
from mtmm.weighting.config import ConFIG
from mtmm.weighting.db_mtl import DBMTL
from mtmm.weighting.dualproj import DualProj
from mtmm.weighting.dwa import DWA
from mtmm.weighting.equal import Equal
from mtmm.weighting.excess import ExcessMTL
from mtmm.weighting.fairgrad import FairGrad
from mtmm.weighting.famo import FAMO
from mtmm.weighting.gls import GLS
from mtmm.weighting.graddrop import GradDrop
from mtmm.weighting.gradnorm import GradNorm
from mtmm.weighting.gradvac import GradVac
from mtmm.weighting.imtl import IMTL
from mtmm.weighting.imtl_g import IMTLG
from mtmm.weighting.imtl_l import IMTLL
from mtmm.weighting.mgda import MGDA
from mtmm.weighting.moco import MoCo
from mtmm.weighting.nash import NashMTL
from mtmm.weighting.pcgrad import PCGrad
from mtmm.weighting.rlw import RLW
from mtmm.weighting.si import ScaleInvariant
from mtmm.weighting.static import Static
from mtmm.weighting.stch import STCH
from mtmm.weighting.uncertainty import Uncertainty
from mtmm.weighting.upgrad import UPGrad

if TYPE_CHECKING:
    from mtmm.weighting.stateful import StatefulWeighting

WEIGHTINGS: dict[str, type[Weighting]] = {
    "aligned": AlignedMTL,
    "cagrad": CAGrad,
    "config": ConFIG,
    "db_mtl": DBMTL,
    "dualproj": DualProj,
    "dwa": DWA,
    "equal": Equal,
    "excess": ExcessMTL,
    "fairgrad": FairGrad,
    "famo": FAMO,
    "gls": GLS,
    "graddrop": GradDrop,
    "gradnorm": GradNorm,
    "gradvac": GradVac,
    "imtl": IMTL,
    "imtl_g": IMTLG,
    "imtl_l": IMTLL,
    "mgda": MGDA,
    "moco": MoCo,
    "nash": NashMTL,
    "pcgrad": PCGrad,
    "rlw": RLW,
    "si": ScaleInvariant,
    "static": Static,
    "stch": STCH,
    "uncertainty": Uncertainty,
    "upgrad": UPGrad,
}


def build(
    name: str,
    *,
    num_tasks: int,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    generator: torch.Generator | None = None,
    **settings: Any,
) -> StatefulWeighting:
    """A method with its state for a training loop of one's own; `settings` as in a suite.

    `generator` is on `device`. Raises ConfigError for a name or setting that is not there, and
    ValueError for settings that do not fit.
    """
    # Here, since it is built on modules that themselves import from this package.
    from mtmm.weighting.making import make
    from mtmm.weighting.stateful import StatefulWeighting

    problems: list[Problem] = []
    config = resolve("weighting", WEIGHTINGS, {"name": name, **settings}, (), problems)
    raise_for(problems)
    method, usage = make(config)
    return StatefulWeighting(
        method, usage, num_tasks, device=device, dtype=dtype, generator=generator
    )
