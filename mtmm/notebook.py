"""What a component of a notebook runs through, as one hash: other cells count, too."""

from __future__ import annotations

import ast
import inspect
import symtable
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from mtmm.source import INSTALLED, combine, is_own, object_source, text_hash, tree_hash

_hashes: dict[str, tuple[ModuleSpec | None, str]] = {}


def notebook_hash(*components: Callable[..., Any]) -> str:
    """One hash over classes and functions and all that they are built on, as it is now.

    That are base classes and whatever their code names: classes and functions of the notebook with
    what these are built on in turn, its numbers, strings and tuples of them, and what comes from
    files of one's own or of this project. Raises OSError where the source of a component is not to
    be had.
    """
    todo: list[Any] = list(components)
    seen, hashes = set[int](), set[str]()
    while todo:
        part = todo.pop()
        if isinstance(part, FunctionType):
            part = inspect.unwrap(part)
        if id(part) in seen:
            continue
        seen.add(id(part))
        if _in_cell(part):
            text = _text(part)
            if text is None and part in components and _functions(part):
                raise OSError(f"no source of {part!r}")
            hashes.add(_visible(part) if text is None else text_hash(text))
            todo += part.__bases__ if inspect.isclass(part) else ()
            for name, value in _named(part, text or "").items():
                if isinstance(value, ModuleType | type | FunctionType):
                    todo.append(value)
                elif _is_plain(value):
                    hashes.add(f"{name} = {value!r}")
        else:
            module = part if isinstance(part, ModuleType) else sys.modules[part.__module__]
            if part in components or _counts(module):
                hashes.add(_module_hash(module))
    return combine(sorted(hashes))


def _in_cell(part: Any) -> bool:
    """Whether it stands in a cell of a notebook: in no file that could be imported."""
    if isinstance(part, ModuleType):
        return False
    module = sys.modules.get(part.__module__)
    if module is None or module.__name__ == "__main__":
        return True
    return getattr(module, "__file__", None) is None and not _of_python(module)


def _text(part: Any) -> str | None:
    """Its source, where there is one that can be read alone: not of every lambda, for one."""
    try:
        text = object_source(part)
        ast.parse(text)
    except (OSError, SyntaxError):
        return None
    return text


def _visible(part: Any) -> str:
    """What there is of a class or function without source, such as a dataclass without methods."""
    if isinstance(part, FunctionType):
        code = part.__code__
        return repr((code.co_code, code.co_names, [c for c in code.co_consts if _is_plain(c)]))
    kept = {n: v for n, v in vars(part).items() if _is_plain(v) or n == "__annotations__"}
    return repr(sorted((name, str(value)) for name, value in kept.items()))


def _named(part: Any, text: str) -> dict[str, Any]:
    """What code takes from around it, by name: what it reads and does not set itself."""
    tables, names = [symtable.symtable(text, "<cell>", "exec")], set[str]()
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            if symbol.is_global() and symbol.is_referenced() and not symbol.is_assigned():
                names.add(symbol.get_name())
    around = next((function.__globals__ for function in _functions(part)), {})
    return {name: around[name] for name in names if name in around}


def _functions(part: Any) -> list[FunctionType]:
    """A function itself, or those of a class that stand where it does."""
    functions = [f for f in (part, *vars(part).values()) if isinstance(f, FunctionType)]
    return [f for f in functions if f.__module__ == part.__module__]


def _is_plain(value: Any) -> bool:
    # What can change in place may do so at every step, as a list of losses does.
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


def _counts(module: ModuleType) -> bool:
    """Whether it is Python code of one's own or of this project: not installed, nor Python's."""
    file = Path(getattr(module, "__file__", None) or "")
    if file.suffix != ".py" or _of_python(module):
        return False
    return is_own(file) or not INSTALLED & set(file.parts)


def _of_python(module: ModuleType) -> bool:
    return module.__name__.partition(".")[0] in sys.stdlib_module_names


def _module_hash(module: ModuleType) -> str:
    """The hash of a module's file as it was when it was first asked for since it was loaded."""
    spec, name = module.__spec__, module.__name__
    if name not in _hashes or _hashes[name][0] is not spec:
        _hashes[name] = spec, tree_hash(Path(module.__file__ or ""), module.__package__ or "")
    return _hashes[name][1]
