"""Files of a user's own components: loaded here, and again in a process that times them."""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, ModuleType

from bench.cell import TimingBlock, components_of
from bench.errors import InputError
from mtmm.blame import place_of
from mtmm.components import (
    Registration,
    RegistrationError,
    registered,
    registration,
    restore,
    snapshot,
)
from mtmm.settings import nearest
from mtmm.source import local_files, tree_hash

_PREFIX = "mtmm_plugin_"


def load_plugins(paths: Sequence[str | Path]) -> None:
    """Run Python files that register components, each once.

    A file finds the modules beside it, as a script does. Raises InputError with the line of the
    file that failed; nothing of that file stays registered then.
    """
    for path in paths:
        _load(path)


def own_components(block: TimingBlock) -> tuple[Registration, ...]:
    """What users registered of all that the arms of a block are made of."""
    return own_of(component for arm in block.arms for component in components_of(arm.config))


def own_of(components: Iterable[tuple[str, str]]) -> tuple[Registration, ...]:
    """What users registered of these components, given by kind and name."""
    used = sorted(set(components))
    return tuple(own for own in (registration(*component) for component in used) if own)


def importable(components: Iterable[Registration]) -> bool:
    """Whether another process can have them too: not what a script or a notebook itself defines."""
    return all(own.module != "__main__" and own.file is not None for own in components)


def load_again(components: Iterable[Registration]) -> None:
    """Register the same components in a new process.

    Raises InputError where that fails, or where their code is no longer what it was.
    """
    for own in components:
        if own.module.startswith(_PREFIX):
            load_plugins([own.file or ""])
        else:
            _import(own)
        if registration(own.kind, own.name) != own:
            text = f"{own.kind} '{own.name}' is not there or not the same in a new process"
            raise InputError(
                f"{own.file}: {text}: register it where the file is loaded, and start again where "
                "its code has changed since"
            )


def check_as_loaded(components: Iterable[Registration]) -> None:
    """Raise InputError where an imported file has been edited since it registered a component.

    Results would count as those of the code as it was then. IPython's `%autoreload` even puts new
    code into a class without registering it anew.
    """
    for own in components:
        if own.file is None or own.module == "__main__" or own.module.startswith(_PREFIX):
            continue
        package = getattr(sys.modules.get(own.module), "__package__", None) or ""
        try:
            same = tree_hash(Path(own.file), package) == own.source
        except (OSError, SyntaxError, ValueError):
            same = False
        if not same:
            text = f"has been edited, or what it imports, since it registered {own.kind}"
            mend = f"importlib.reload(sys.modules['{own.module}']) loads it anew, as does a restart"
            raise InputError(f"{own.file}: {text} '{own.name}': {mend}")


def _import(own: Registration) -> None:
    try:
        importlib.import_module(own.module)
    except (Exception, SystemExit) as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{own.file}: cannot be imported in a new process: {text}") from None


def _load(path: str | Path) -> None:
    file, code = _compiled(path)
    name = _module_name(file)
    if name in sys.modules:
        return
    module = ModuleType(name)
    module.__file__ = str(file)
    there = registered()
    with _undone_on_error(file):
        sys.modules[name] = module
        if str(file.parent) not in sys.path:
            sys.path.insert(0, str(file.parent))
        try:
            exec(code, vars(module))
            if registered() == there:
                text = 'no component is registered; `@mtmm.register("fusion", "mine")` before a'
                raise RegistrationError(f"{text} class is how")
        except (Exception, SystemExit) as error:
            raise InputError(_told(error, path, file)) from None


@contextmanager
def _undone_on_error(file: Path) -> Iterator[None]:
    """Where a load fails leave no trace, so that the mended file and what it imports load anew."""
    before, there, import_path = snapshot(), set(sys.modules), list(sys.path)
    try:
        yield
    except BaseException:
        local = {str(path) for path in local_files(file)}
        local |= {own.file for own in registered() if own.file}
        for name in set(sys.modules) - there:
            if getattr(sys.modules[name], "__file__", None) in local:
                del sys.modules[name]
        restore(before)
        sys.path[:] = import_path
        raise


def _compiled(path: str | Path) -> tuple[Path, CodeType]:
    file = Path(path).resolve()
    if file.is_dir():
        raise InputError(f"{path}: a folder; a plugin is a Python file")
    if file.suffix != ".py":
        raise InputError(f"{path}: a plugin is a Python file, its name ends in .py{_similar(file)}")
    try:
        # Not through Python's cache of compiled files, which looks at time and size only.
        return file, compile(file.read_bytes(), str(file), "exec", dont_inherit=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}{_similar(file)}") from None
    except (SyntaxError, ValueError) as error:
        raise InputError(_told(error, path, file)) from None


def _module_name(file: Path) -> str:
    # Of the whole path: two files of one name are two modules, and one file the same everywhere.
    digest = hashlib.sha256(str(file).encode()).hexdigest()[:8]
    return f"{_PREFIX}{re.sub(r'[^A-Za-z0-9_]', '_', file.stem)}_{digest}"


def _told(error: BaseException, path: str | Path, file: Path) -> str:
    """One line: the line of the plugin that was running, that of a module inside it, and what."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file)]
    line = (lines[-1] if lines else None) or 1
    place = place_of(error) or (file, line)
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, RegistrationError):
        text = str(error)
    elif isinstance(error, SystemExit):
        text = f"it ended the program (exit code {error.code})"
    elif isinstance(error, SyntaxError) and Path(error.filename or "").is_file():
        text, place = f"not Python: {error.msg}", (Path(error.filename or ""), error.lineno or 1)
    if place[0] == file:
        return f"{path}:{place[1]}: {' '.join(text.split())}"
    return f"{path}:{line}: {place[0]}:{place[1]}: {' '.join(text.split())}"


def _similar(file: Path) -> str:
    names = [p.name for p in file.parent.glob("*.py")] if file.parent.is_dir() else []
    return nearest(file.name, names)
