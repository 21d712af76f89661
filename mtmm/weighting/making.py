"""From a `weighting:` configuration to a method and how it is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtmm.settings import Component, own_settings_of
from mtmm.weighting import WEIGHTINGS
from mtmm.weighting.base import Weighting
from mtmm.weighting.usage import Usage


def make(config: Mapping[str, Any]) -> tuple[Weighting, Usage]:
    """The method and its usage that a resolved `weighting:` stands for.

    Raises ValueError where the usage is not one of that method.
    """
    method = WEIGHTINGS[config["name"]]
    component: Component = method  # for mypy: a class is its constructor
    own = {key: config[key] for key in own_settings_of(component) if key in config}
    return method(**own), Usage.of(method, config)
