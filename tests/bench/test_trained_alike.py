"""Cells of architectures that are, at their ends, other ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bench.training import train
from mtmm.spec import DataBundle


@pytest.mark.parametrize("clip_norm", [None, 0.5])
@pytest.mark.parametrize(
    ("sharing", "like"),
    [
        ({"name": "branch", "depth": 0}, "separate"),
        ({"name": "branch", "depth": 4}, "hard"),
        ({"name": "mmoe", "experts": 1}, "hard"),
    ],
    ids=["branch 0", "branch 4", "mmoe 1"],
)
def test_architectures_at_their_ends_train_as_what_they_then_are(
    sharing: dict[str, Any],
    like: str,
    clip_norm: float | None,
    config: dict[str, Any],
    bundle: DataBundle,
) -> None:
    settings = {**config["train"], "clip_norm": clip_norm, "epochs": 4}
    results = []
    for one in (sharing, {"name": like}):
        changed = {**config, "model": {**config["model"], "sharing": one}, "train": settings}
        results.append(train(changed, bundle, seed=0, device=torch.device("cpu")))
    for key in ("test", "val", "scores", "epochs"):
        assert results[0][key] == results[1][key], key
