"""Components of one's own: `register` puts them beside those that come with the library."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from mtmm.configuration import MODELS
from mtmm.contracts import violation
from mtmm.data import DATASETS
from mtmm.encoders import ENCODERS
from mtmm.fusion import FUSIONS
from mtmm.heads import HEADS
from mtmm.notebook import notebook_hash
from mtmm.settings import Component, listed, nearest
from mtmm.sharing import SHARINGS
from mtmm.source import tree_hash
from mtmm.weighting import WEIGHTINGS

Registry = MutableMapping[str, Component]

REGISTRIES: Mapping[str, Registry] = {
    "dataset": cast(Registry, DATASETS),
    "encoder": cast(Registry, ENCODERS),
    "fusion": cast(Registry, FUSIONS),
    "sharing": cast(Registry, SHARINGS),
    "weighting": cast(Registry, WEIGHTINGS),
    "head": cast(Registry, HEADS),
    "model": cast(Registry, MODELS),
}
"""Every kind of component, by name. Of heads, one named after a kind of
tasks is what those have by default."""

C = TypeVar("C")

_NAME = re.compile("[A-Za-z][A-Za-z0-9_]*")


class RegistrationError(ValueError):
    """A component that cannot be registered: the text is one line."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A component that a user registered, the module that did, and its file (None: a notebook).

    `source` is a hash over the code that the component may run through.
    """

    kind: str
    name: str
    module: str
    file: str | None
    source: str


_registrations: dict[tuple[str, str], Registration] = {}


def register(kind: str, name: str) -> Callable[[C], C]:
    """A decorator that gives a component its name: `@register("fusion", "mine")`.

    `kind` is one of `REGISTRIES`; for a data set write `register("dataset", "mine")(Dataset(build,
    describe))`. The component comes back unchanged. Registering a name again from the same file, or
    from a notebook, replaces it. Raises RegistrationError where the kind or the name will not do
    or the component is not what one of its kind must be.
    """
    caller = sys._getframe(1).f_globals
    if kind not in REGISTRIES:
        text = f"unknown kind of component '{kind}'{nearest(kind, REGISTRIES)}"
        raise RegistrationError(f"{text} (there are: {listed(REGISTRIES)})")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        text = "a name is letters, digits and '_', the first a letter"
        raise RegistrationError(f"{kind} {name!r}: {text}")
    module, file = caller["__name__"], caller.get("__file__")

    def decorate(component: C) -> C:
        _check_free(kind, name, component, file)
        wrong = violation(kind, name, component)
        if wrong is not None:
            raise RegistrationError(f"{kind} '{name}' {' '.join(wrong.split())}")
        source = _source(kind, name, component, file, caller.get("__package__") or "")
        _registrations[kind, name] = Registration(kind, name, module, file, source)
        REGISTRIES[kind][name] = cast(Component, component)
        return component

    return decorate


def registered() -> tuple[Registration, ...]:
    """What users have registered, in order."""
    return tuple(_registrations.values())


def registration(kind: str, name: str) -> Registration | None:
    """How a component came to be registered; None for those that come with the library.

    Its `source` is that of its registration where a file did it, and of now where a notebook did,
    in which other cells may have been run since.
    """
    own = _registrations.get((kind, name))
    if own is None or own.file is not None:
        return own
    return replace(own, source=_source(kind, name, REGISTRIES[kind][name], None, ""))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was registered at some moment."""

    registries: Mapping[str, Mapping[str, Component]]
    registrations: Mapping[tuple[str, str], Registration]


def snapshot() -> Snapshot:
    """What is registered now, for `restore`."""
    registries = {kind: dict(registry) for kind, registry in REGISTRIES.items()}
    return Snapshot(registries, dict(_registrations))


def restore(before: Snapshot) -> None:
    """Bring every registry back to what it was."""
    for kind, registry in REGISTRIES.items():
        registry.clear()
        registry.update(before.registries[kind])
    _registrations.clear()
    _registrations.update(before.registrations)


def _check_free(kind: str, name: str, component: object, file: str | None) -> None:
    there, how = REGISTRIES[kind].get(name), _registrations.get((kind, name))
    if there is None:
        return
    if how is None:
        raise RegistrationError(f"{kind} '{name}' is there already: it comes with mtmm")
    # One file may be run again, but two of its components cannot share a name.
    twice = file is not None and _written_as(there) != _written_as(component)
    if how.file != file or twice:
        place = f"as {_written_as(there)} in {how.file or 'a notebook'}"
        raise RegistrationError(f"{kind} '{name}' is there already: {place}")


def _written_as(component: Any) -> str:
    return str(getattr(inspect.unwrap(component), "__qualname__", component))


def _source(kind: str, name: str, component: Any, file: str | None, package: str) -> str:
    """The hash of a component's code: its file with what that imports, or cells of a notebook."""
    try:
        if file is not None:
            return tree_hash(Path(file), package)
        parts = (component.build, component.describe) if kind == "dataset" else (component,)
        return notebook_hash(*parts)
    except (OSError, SyntaxError, TypeError, ValueError):
        text = "has no source code at hand, by which results are told apart: put it into a file"
        raise RegistrationError(f"{kind} '{name}' {text}") from None
