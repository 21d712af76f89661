"""What tests of components of one's own need."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtmm.components import restore, snapshot


@pytest.fixture
def unloaded_after(tmp_path: Path) -> Iterator[None]:
    """Nothing that a test registers or imports from its folder stays."""
    before, modules, path = snapshot(), set(sys.modules), list(sys.path)
    yield
    restore(before)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]
