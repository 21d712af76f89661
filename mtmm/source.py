"""Hashes of source code that ignore comments, docstrings and layout."""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

INSTALLED = {"site-packages", "dist-packages"}
"""Folders of installed packages."""

OWN = ("mtmm", "bench")
"""The packages of this project."""

_HOME = Path(__file__).resolve().parents[1]
# They run components, or name and check them: no number depends on them.
_APART = {
    *("bench.api", "bench.cli", "bench.errors", "bench.plugins"),
    *("mtmm.blame", "mtmm.components", "mtmm.consistency", "mtmm.registry", "mtmm.settings"),
    *("mtmm.sizes", "mtmm.source", "mtmm._version"),
}


def file_hash(path: str | Path) -> str:
    """`text_hash` of a Python file."""
    return text_hash(Path(path).read_bytes())


def text_hash(text: str | bytes) -> str:
    """SHA-256 over the syntax tree of `text` without docstrings."""
    tree = _WithoutDocstrings().visit(ast.parse(text))
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def tree_hash(file: Path, package: str = "") -> str:
    """One hash over a file and all that it is built on: `local_files`, and `own_files` of them.

    Where modules lie decides, not what has been imported: the hash is the same in every process.
    Raises OSError, SyntaxError or ValueError where the file itself cannot be read.
    """
    local = local_files(file, package)
    return combine([*map(file_hash, local), *map(_own_hash, own_files(local))])


def local_files(file: Path, package: str = "") -> list[Path]:
    """The file, and then, in the order of their paths, the local modules that it leads to.

    `package` is the package that the file belongs to as a module. Local is what lies beside the
    file or, of a package, beside the top-level one; modules of this project are not.
    """
    file = file.resolve()
    if is_own(file):
        return [file]
    parts = package.split(".") if package else []
    root = file.parents[len(parts)]
    installed = bool(INSTALLED & set(root.parts))
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
            if module[0] not in OWN and (not installed or module[0] in parts[:1]):
                todo += (found for found in _files_of(root, module) if found not in local)
    return [file, *sorted(local - {file})]


def own_files(files: Iterable[Path]) -> list[Path]:
    """The other modules of this project that the files lead to, in the order of their paths.

    A component may be a subclass of one that comes with the project.
    """
    given = list(files)
    found: set[Path] = set()
    todo = list(given)
    while todo:
        path = todo.pop()
        new = set(_imports_of_own(path) if is_own(path) else _own_imports(path)) - found
        found |= new
        todo += new
    return sorted(found - set(given))


def is_own(path: Path) -> bool:
    """Whether a file belongs to this project's packages."""
    return any(path.is_relative_to(_HOME / name) for name in OWN)


def object_source(component: Callable[..., Any]) -> str:
    """The text of a class or a function alone, which may stand in a cell of a notebook.

    Raises OSError where its source is not to be had.
    """
    if inspect.isclass(component):
        return _class_source(component)
    return textwrap.dedent(inspect.getsource(component))


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


def _own_imports(file: Path) -> list[Path]:
    tree = ast.parse(file.read_bytes())
    names = {*_imported(tree, ()), *_reached(tree)}
    return [path for name in names if (path := _own_file(name)) is not None]


# Of these files the code runs that was there when the process started.
_imports_of_own, _own_hash = cache(_own_imports), cache(file_hash)


def _reached(tree: ast.Module) -> Iterator[tuple[str, ...]]:
    """What is used of a package that is imported whole: `import mtmm` and `mtmm.build_model`."""
    packages = {"mtmm": "mtmm", "bench": "bench"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            packages |= {a.asname: a.name for a in node.names if a.asname and a.name in OWN}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=attr) if name in packages:
                yield packages[name], attr


def _own_file(name: tuple[str, ...]) -> Path | None:
    """The module of this project that an imported name is, or is made in; None if it is apart."""
    if name[:1] not in {(package,) for package in OWN} or len(name) < 2:
        return None
    place, rest = _HOME, name
    while rest and (place / rest[0] / "__init__.py").is_file():
        place, rest = place / rest[0], rest[1:]
    module = place / f"{rest[0]}.py" if rest else place / "__init__.py"
    if module.is_file():
        parts = module.relative_to(_HOME).with_suffix("").parts
        return None if ".".join(parts) in _APART else module
    # A name in a package: imported there from the module that makes it, or made by itself.
    package = place / "__init__.py"
    imported = (name for name in _imported(ast.parse(package.read_bytes()), ()))
    return next((_own_file(name) for name in imported if name[-1] == rest[0]), package)


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
