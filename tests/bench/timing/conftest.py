from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def _small_heap() -> Iterator[None]:
    """Keep what the imports made out of every collection, which would take most of the time."""
    gc.freeze()
    yield
    gc.unfreeze()
