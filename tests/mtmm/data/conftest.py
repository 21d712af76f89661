"""A table of real glyphs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tables import write_glyphs


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_glyphs(tmp_path_factory.mktemp("glyphs"))
