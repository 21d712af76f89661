"""Every kind of component and every section of a suite, with settings: as text and as a page."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from bench import settings
from bench.optimization import OPTIMIZERS, SCHEDULES
from mtmm.components import REGISTRIES
from mtmm.configuration import model_settings
from mtmm.settings import Component, describe_type, first_sentence, own_settings_of
from mtmm.weighting.usage import usage

KINDS: Mapping[str, Mapping[str, Component]] = {
    **REGISTRIES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}

SECTIONS: Mapping[str, Component] = {
    "model": model_settings,
    "weighting": usage,
    "train": settings.train,
    "numerics": settings.numerics,
    "robustness": settings.robustness,
    "timing": settings.timing,
    "search": settings.search,
    "simplex": settings.simplex,
}

_INTRODUCTION = """\
# Reference

Everything a suite can name, with its settings. Made by `make reference` out of the signatures; a
test holds that it is up to date. `mtmm-bench list` prints the same for your installation and, with
`--plugin`, your own components. What the parts of a suite are for: [suites.md](suites.md).
"""


def kind_text(kind: str) -> str:
    """The components of a kind for a terminal: a sentence each, and the settings."""
    lines = [f"{kind}:"]
    for name, component in sorted(KINDS[kind].items()):
        lines.append(f"  {name}: {first_sentence(component)}")
        for setting in own_settings_of(component).values():
            told = f"{describe_type(setting.annotation)}; default {_default(setting.default)}"
            lines.append(f"      {setting.name}: {told}")
    if not KINDS[kind]:
        lines.append("  none of its own: a plugin brings them")
    return "\n".join(lines)


def reference_page() -> str:
    """The reference of sections and components in Markdown."""
    return "\n".join([_INTRODUCTION, *_sections(), *_components()])


def _sections() -> Iterator[str]:
    for name, section in SECTIONS.items():
        yield f"## `{name}:`\n"
        yield f"{_whole(section)}\n"
        yield _table(section)


def _components() -> Iterator[str]:
    for kind, registry in KINDS.items():
        if not registry:
            continue
        yield f"## {kind}\n"
        for name, component in sorted(registry.items()):
            yield f"### {kind} `{name}`\n"
            yield f"{_whole(component)}\n"
            if own_settings_of(component):
                yield _table(component)


def _table(component: Component) -> str:
    rows = ["| setting | what | default |", "|---|---|---|"]
    for setting in own_settings_of(component).values():
        what = describe_type(setting.annotation)
        rows.append(f"| `{setting.name}` | {what} | `{_default(setting.default)}` |")
    return "\n".join(rows) + "\n"


def _whole(component: Component) -> str:
    return inspect.cleandoc(inspect.unwrap(component).__doc__ or "").replace("\n\n\n", "\n\n")


def _default(value: Any) -> str:
    return (
        "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )


if __name__ == "__main__":
    print(reference_page(), end="")
