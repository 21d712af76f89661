"""Hashes of source code that ignore comments, docstrings and layout."""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

# Installed code belongs to its package, and this package's own modules are hashed one by one.
_INSTALLED = {"site-packages", "dist-packages"}
_OWN = {"mtmm", "bench"}


def file_hash(path: str | Path) -> str:
    """`text_hash` of a Python file."""
    return text_hash(Path(path).read_bytes())


def text_hash(text: str | bytes) -> str:
    """SHA-256 over the syntax tree of `text` without docstrings."""
    tree = _WithoutDocstrings().visit(ast.parse(text))
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def tree_hash(file: Path, package: str = "") -> str:
    """`file_hash` of a file and of every local module that it imports, and that those import.

    `package` is the package that the file belongs to as a module. Local is what lies beside the
    file or, of a package, beside the top-level one. Where modules lie decides, not what has been
    imported: the hash is the same in every process. Raises OSError, SyntaxError or ValueError
    where the file itself cannot be read.
    """
    return combine(file_hash(path) for path in local_files(file, package))


def local_files(file: Path, package: str = "") -> list[Path]:
    """The file, and then, in the order of their paths, the local modules that it leads to."""
    file = file.resolve()
    parts = package.split(".") if package else []
    root = file.parents[len(parts)]
    installed = bool(_INSTALLED & set(root.parts))
    local: set[Path] = set()
    todo = [file, *_files_of(root, tuple(parts))]
    while todo:
        path = todo.pop()
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            if path == file:
                raise
            continue  # nothing can import it either
        local.add(path)
        for module in _imported(tree, path.parent.relative_to(root).parts):
            if module[0] not in _OWN and (not installed or module[0] in parts[:1]):
                todo += (found for found in _files_of(root, module) if found not in local)
    return [file, *sorted(local - {file})]


def object_hash(component: Callable[..., Any]) -> str:
    """`text_hash` of a class or a function alone, which may stand in a cell of a notebook.

    Raises OSError where its source is not to be had.
    """
    if inspect.isclass(component):
        return text_hash(_class_source(component))
    return text_hash(textwrap.dedent(inspect.getsource(component)))


def combine(hashes: Iterable[str]) -> str:
    """One hash over many, in order."""
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _imported(tree: ast.Module, package: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Every module that code of `package` may import, anywhere in it, as the parts of its name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: max(0, len(package) - node.level + 1)] if node.level else ()
            module = (*above, *(node.module.split(".") if node.module else ()))
            # What is imported from a package may be a module of it.
            yield from ((*module, alias.name) for alias in node.names)


def _files_of(root: Path, module: tuple[str, ...]) -> Iterator[Path]:
    """The files that importing the module runs: its own, and those of the packages it is in."""
    for end in range(1, len(module) + 1):
        place = root.joinpath(*module[:end])
        for path in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if path.is_file():
                yield path
                break


def _class_source(component: type) -> str:
    # Python looks for a class in the file of its module, which a notebook has not; but where
    # the functions of the class stand, it knows.
    for value in vars(component).values():
        if isinstance(value, FunctionType) and value.__module__ == component.__module__:
            lines, start = inspect.findsource(inspect.unwrap(value))
            text = "".join(lines)
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.ClassDef) and node.name == component.__name__:
                    assert node.end_lineno is not None
                    if node.lineno <= start + 1 <= node.end_lineno:
                        return ast.get_source_segment(text, node) or ""
    raise OSError(f"no source of {component!r}")


class _WithoutDocstrings(ast.NodeTransformer):
    """Drops strings that stand alone as a statement, those of attributes included."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        is_string = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_string else node
