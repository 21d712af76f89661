"""Loss weightings by name: from what a step knows of its tasks to the weight of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from mtmm.registry import raise_for, resolve
from mtmm.settings import Problem
from mtmm.weighting.base import Weighting
from mtmm.weighting.equal import Equal
from mtmm.weighting.static import Static
from mtmm.weighting.uncertainty import Uncertainty

if TYPE_CHECKING:
    from mtmm.weighting.stateful import StatefulWeighting

WEIGHTINGS: dict[str, type[Weighting]] = {
    "equal": Equal,
    "static": Static,
    "uncertainty": Uncertainty,
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
