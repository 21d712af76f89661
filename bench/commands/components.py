"""`list` and `schema`: what a suite can name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from bench.errors import OK, InputError
from bench.plugins import load_plugins
from bench.reference import KINDS, kind_text
from bench.schema import suite_schema
from mtmm.settings import listed, nearest


def list_components(kind: str | None, plugins: Sequence[Path]) -> int:
    """Print every component of a kind, or of all kinds, with its settings."""
    load_plugins(plugins)
    if kind is not None and kind not in KINDS:
        text = f"unknown kind '{kind}'{nearest(kind, KINDS)} (there are: {listed(KINDS)})"
        raise InputError(text)
    for name in [kind] if kind else KINDS:
        print(kind_text(name))
    return OK


def schema(plugins: Sequence[Path]) -> int:
    """Print the JSON Schema of suites."""
    load_plugins(plugins)
    print(json.dumps(suite_schema(), indent=1, ensure_ascii=False))
    return OK
