"""Hashes of source code that ignore comments, docstrings and layout."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path


def file_hash(path: str | Path) -> str:
    """`text_hash` of a Python file."""
    return text_hash(Path(path).read_text(encoding="utf-8"))


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
