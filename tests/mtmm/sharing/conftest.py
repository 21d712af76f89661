"""Models of a sharing, small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mtmm.model import PathModel, build_model
from mtmm.spec import Description

MakeModel = Callable[..., PathModel]


@pytest.fixture
def make_model(description: Description) -> MakeModel:
    """`make_model(fusion, tasks, encoders, **sharing)`; `encoders` replaces some of the two."""

    def make(
        fusion: str = "concat",
        tasks: list[str] | None = None,
        encoders: dict[str, Any] | None = None,
        **sharing: Any,
    ) -> PathModel:
        both = {
            "image": {"name": "lenet", "channels": 2},
            "text": {"name": "lstm", "embedding": 3},
            **(encoders or {}),
        }
        config = {"encoders": both, "fusion": fusion, "sharing": sharing, "width": 8}
        chosen = description.select(["image", "text"], tasks or ["left", "right"])
        model = build_model(config, chosen, seed=5)
        assert isinstance(model, PathModel)
        return model

    return make
