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
    tree = _WithoutDocstrings().visit(ast.parse(text))
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def combine(hashes: Iterable[str]) -> str:
    """One hash over many, in order."""
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


class _WithoutDocstrings(ast.NodeTransformer):
    """Drops strings that stand alone as a statement, those of attributes included."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        is_string = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_string else node
