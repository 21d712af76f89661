"""The JSON Schema of suites: lets an editor complete and check them while they are written.

Everything in it comes from the registries and signatures. It is more lenient than `bench plan`,
which also knows what has no meaning together, and never stricter, but for values that another axis
of the same block replaces. Conditions, as in `exclude`, have schemas of their own: there some
settings of a component stand for every component that has them.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Union

from bench import settings
from bench.matching import OFF, PARAMETERS
from bench.optimization import OPTIMIZERS, SCHEDULES
from bench.sections import NAME
from bench.suite import SECTIONS
from bench.sweeps import EACH
from mtmm.configuration import MODELS, model_settings
from mtmm.data import DATASETS
from mtmm.encoders import ENCODERS
from mtmm.fusion import FUSIONS
from mtmm.heads import HEADS
from mtmm.settings import Component, Range, first_sentence, settings_of
from mtmm.sharing import SHARINGS
from mtmm.weighting import WEIGHTINGS

Schema = dict[str, Any]

_WORDS: Schema = {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True}
_MATCH: Schema = {"enum": [PARAMETERS, OFF]}
_NAMED = re.compile("<words?>")
_LIKE = "like_"
_SLOTS: Mapping[str, Mapping[str, Component]] = {
    "dataset": DATASETS,
    "encoder": ENCODERS,
    "head": HEADS,
    "fusion": FUSIONS,
    "sharing": SHARINGS,
    "weighting": WEIGHTINGS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}
_MAPPED = {"encoders": "encoder", "heads": "head"}
"""Parts of a model that are components by the names of modalities or tasks."""
_BOUNDS = {
    "low": "minimum",
    "above": "exclusiveMinimum",
    "high": "maximum",
    "below": "exclusiveMaximum",
}


def suite_schema() -> Schema:
    """The schema (draft 2020-12) of a suite, with all components that are registered now."""
    sections = _sections()
    assert set(sections) == set(SECTIONS)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mtmm-bench suite",
        "type": "object",
        "required": ["name", "dataset"],
        "properties": sections,
        "additionalProperties": False,
        "$defs": _definitions(),
    }


def type_schema(annotation: Any) -> Schema:
    """The schema of one setting's annotation."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        bounds = [_bounds(mark) for mark in arguments[1:] if isinstance(mark, Range)]
        return {**type_schema(arguments[0]), **{k: v for found in bounds for k, v in found.items()}}
    if origin in (Union, types.UnionType):
        return _any_of([type_schema(argument) for argument in arguments])
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": type_schema(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": type_schema(arguments[1])}
    names = {float: "number", int: "integer", str: "string", bool: "boolean", type(None): "null"}
    return {"type": names[annotation]}


def _bounds(bounds: Range) -> Schema:
    infinite = (float("inf"), float("-inf"))
    ends = {key: getattr(bounds, name) for name, key in _BOUNDS.items()}
    return {key: end for key, end in ends.items() if end not in infinite}


def _any_of(schemas: list[Schema]) -> Schema:
    different = [schema for i, schema in enumerate(schemas) if schema not in schemas[:i]]
    return different[0] if len(different) == 1 else {"anyOf": different}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _object(properties: Schema, **more: Any) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False, **more}


def _settings(component: Component) -> Schema:
    properties = {}
    for name, setting in settings_of(component).items():
        properties[name] = type_schema(setting.annotation) | {"default": setting.default}
    return properties


def _component(registry: Mapping[str, Component]) -> Schema:
    """A component by its name, or as a mapping with its settings."""
    as_mapping = [
        _object({"name": {"const": name}, **_settings(component)}, required=["name"])
        for name, component in registry.items()
    ]
    return {"anyOf": [*_names(registry), *as_mapping]}


def _like_component(registry: Mapping[str, Component]) -> Schema:
    """Components by their name, or by some of their settings."""
    settings = {key: _any_of(schemas) for key, schemas in _any_settings(registry).items()}
    return {"anyOf": [*_names(registry), _object({"name": _name_of(registry), **settings})]}


def _names(registry: Mapping[str, Component]) -> list[Schema]:
    return [
        {"const": name, "description": first_sentence(component)}
        for name, component in registry.items()
    ]


def _name_of(registry: Mapping[str, Component]) -> Schema:
    return {"enum": list(registry)}


def _any_settings(registry: Mapping[str, Component]) -> dict[str, list[Schema]]:
    """The settings of whatever component is chosen."""
    found: dict[str, list[Schema]] = {}
    for component in registry.values():
        for name, setting in settings_of(component).items():
            found.setdefault(name, []).append(type_schema(setting.annotation))
    return found


def _definitions() -> Schema:
    whole = [
        _object({"name": {"const": name}, **_settings(model)}, required=["name"])
        for name, model in MODELS.items()
    ]
    some = {key: _any_of(schemas) for key, schemas in _any_settings(MODELS).items()}
    like_whole = [*_names(MODELS), _object({"name": _name_of(MODELS), **some})] if MODELS else []
    return {
        **{kind: _component(registry) for kind, registry in _SLOTS.items()},
        **_composed("", whole),
        "overrides": _by_key("", lambda schema: schema),
        "axes": _by_key("", _axis),
        "block": _block(),
        **{f"{_LIKE}{kind}": _like_component(registry) for kind, registry in _SLOTS.items()},
        **_composed(_LIKE, like_whole),
        "conditions": _by_key(_LIKE, lambda schema: schema),
    }


def _composed(like: str, whole_models: list[Schema]) -> Schema:
    """The parts of a variant that are no components, out of components."""
    model = {
        **_settings(model_settings),
        "match": _MATCH,
        **{kind: _reference(f"{like}{kind}") for kind in (*_MAPPED, "fusion", "sharing")},
    }
    train = {kind: _reference(f"{like}{kind}") for kind in ("optimizer", "schedule")}
    mapped = {
        f"{like}{kind}": {"type": "object", "additionalProperties": _reference(f"{like}{one}")}
        for kind, one in _MAPPED.items()
    }
    return {
        **mapped,
        f"{like}model": _any_of([_object(model), *whole_models]),
        f"{like}train": _object({**_settings(settings.train), **train}),
        f"{like}numerics": _object(_settings(settings.numerics)),
        f"{like}robustness": _object(_settings(settings.robustness)),
    }


def _axis(schema: Schema) -> Schema:
    return {"type": "array", "items": schema, "minItems": 1}


def _by_key(like: str, form: typing.Callable[[Schema], Schema]) -> Schema:
    """A mapping of settings, whole or dotted, to what `form` makes of the setting's schema."""
    keys = dict(_keys(like))
    return _object(
        {key: form(schema) for key, schema in keys.items() if not _NAMED.search(key)},
        patternProperties={
            f"^{_pattern(key)}$": form(schema) for key, schema in keys.items() if _NAMED.search(key)
        },
    )


def _pattern(key: str) -> str:
    escaped = key.replace(".", r"\.")
    return escaped.replace("<word>", "[^.]+").replace("<words>", ".+")


def _block() -> Schema:
    axes = _by_key("", _axis)
    axes["properties"] |= {
        "zip": _reference("axes"),
        "simplex": _object(_settings(settings.simplex)),
    }
    return axes | {"minProperties": 1}


def _keys(like: str) -> Iterator[tuple[str, Schema]]:
    """Every setting that a sweep can name; `<word>` stands for a name out of the data."""
    yield from _parts(like).items()
    yield from _inside("dataset", _SLOTS["dataset"])
    yield from _inside("weighting", _SLOTS["weighting"])
    yield from _inside("model", MODELS)
    yield "model.width", _settings(model_settings)["width"]
    yield "model.match", _MATCH
    for prefix in ("", "model."):
        for kind in ("fusion", "sharing"):
            yield f"{prefix}{kind}", _reference(f"{like}{kind}")
            yield from _inside(f"{prefix}{kind}", _SLOTS[kind])
        for kind, one in _MAPPED.items():
            yield f"{prefix}{kind}", _reference(f"{like}{kind}")
            yield f"{prefix}{kind}.<word>", _reference(f"{like}{one}")
            yield from _inside(f"{prefix}{kind}.<word>", _SLOTS[one])
    for section in ("train", "numerics", "robustness"):
        signature: Component = getattr(settings, section)
        yield from _below(section, {section: signature})
    for kind in ("optimizer", "schedule"):
        yield f"train.{kind}", _reference(f"{like}{kind}")
        yield from _inside(f"train.{kind}", _SLOTS[kind])


def _inside(prefix: str, registry: Mapping[str, Component]) -> Iterator[tuple[str, Schema]]:
    """The name and the settings of whatever component is chosen."""
    if registry:
        yield f"{prefix}.name", _name_of(registry)
    yield from _below(prefix, registry)


def _below(prefix: str, registry: Mapping[str, Component]) -> Iterator[tuple[str, Schema]]:
    for name, schemas in _any_settings(registry).items():
        yield f"{prefix}.{name}", _any_of(schemas)
        inner = [s["additionalProperties"] for s in _flat(schemas) if "additionalProperties" in s]
        if inner:
            yield f"{prefix}.{name}.<words>", _any_of(inner)


def _flat(schemas: list[Schema]) -> Iterator[Schema]:
    """The alternatives in these schemas."""
    for schema in schemas:
        yield from _flat(schema["anyOf"]) if "anyOf" in schema else [schema]


def _parts(like: str) -> dict[str, Schema]:
    """The parts of a variant."""
    subset = {"anyOf": [_WORDS, {"type": "null"}]}
    return {
        "dataset": _reference(f"{like}dataset"),
        "modalities": subset,
        "tasks": subset,
        "model": _reference(f"{like}model"),
        "weighting": _reference(f"{like}weighting"),
        "train": _reference(f"{like}train"),
        "numerics": _reference(f"{like}numerics"),
        "robustness": _reference(f"{like}robustness"),
    }


def _sections() -> Schema:
    exclusion = _object(
        {"when": _reference("conditions"), "reason": {"type": "string"}},
        required=["when", "reason"],
    )
    ablate = _by_key("", lambda schema: {"anyOf": [schema, _axis(schema)]})
    removal = {"anyOf": [{"const": EACH}, _axis({"type": "string"})]}
    ablate["properties"] |= {"modalities": removal, "tasks": removal}
    seed = {"type": "integer", "minimum": 0}
    return {
        "name": {"type": "string", "pattern": f"^{NAME}$"},
        "question": {"type": "string"},
        **_parts(""),
        **{kind: _reference(kind) for kind in _MAPPED},
        "fusion": _reference("fusion"),
        "sharing": _reference("sharing"),
        "sweep": {"type": "array", "items": _reference("block")},
        "ablate": ablate,
        "exclude": {"type": "array", "items": exclusion},
        "seeds": {"anyOf": [{"type": "integer", "minimum": 1}, _axis(seed)]},
        "baseline": _reference("overrides"),
        "family": _object(dict.fromkeys(("except", "best"), _reference("conditions"))),
        "timing": {"anyOf": [{"const": "off"}, _object(_settings(settings.timing))]},
        "search": _search(),
        "single_task": {"enum": ["auto", "off"]},
        "max_params": {"type": "number", "minimum": 1},
        "max_memory_mib": {"type": "number", "minimum": 1},
    }


def _search() -> Schema:
    number = {"type": "number"}
    entry = _object(
        {
            "low": number,
            "high": number,
            "log": {"type": "boolean"},
            "step": number,
            "choices": _axis({}),
            "simplex": {"const": True},
            "when": _reference("conditions"),
        }
    )
    space = {"type": "object", "additionalProperties": {"anyOf": [_axis({}), entry]}}
    bounds = _object({"max": number, "min": number})
    return _object(
        {
            "space": space,
            "each": _axis({"type": "string"}),
            "constraints": {"type": "object", "additionalProperties": bounds},
            **_settings(settings.search),
        },
        required=["space"],
    )
