"""Hashes of source code that ignore comments, docstrings and layout."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from mtmm.settings import Component

TRAINING_CORE = (
    "bench.evaluation",
    "bench.optimization",
    "bench.step",
    "bench.training",
    "mtmm.encoders.base",
    "mtmm.fusion.base",
    "mtmm.heads.base",
    "mtmm.heads.classification",
    "mtmm.model",
    "mtmm.paths",
    "mtmm.seeding",
    "mtmm.sharing.base",
    "mtmm.spec",
    "mtmm.weighting.base",
)
"""The modules every train cell runs through, besides its components."""

TIMING_CORE = (
    "bench.timing.block",
    "bench.timing.clock",
    "bench.timing.flops",
    "bench.timing.memory",
    "bench.timing.sampler",
    "bench.timing.workload",
)
"""The modules a timing block runs through, besides the training core."""


@cache
def module_hash(module: str) -> str:
    """SHA-256 over a module's syntax tree without docstrings."""
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None, module
    return text_hash(Path(spec.origin).read_text(encoding="utf-8"))


@cache
def component_hash(component: Component) -> str:
    """`module_hash` of the module that defines the component."""
    module = inspect.getmodule(inspect.unwrap(component))
    assert module is not None
    return module_hash(module.__name__)


@cache
def core_hash(modules: tuple[str, ...]) -> str:
    """One hash over these modules."""
    return combine(map(module_hash, modules))


def text_hash(text: str) -> str:
    """SHA-256 over the syntax tree of `text` without docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            body[0] = ast.Pass()
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def combine(hashes: Iterable[str]) -> str:
    """One hash over many, in order."""
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
