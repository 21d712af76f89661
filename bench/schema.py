"""The JSON Schema of suites: lets an editor complete and check them while they are written.

Everything in it comes from the registries and signatures. It is a little more lenient than
`bench plan`, which also knows what has no meaning together.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Union

from bench import settings
from bench.optimization import OPTIMIZERS, SCHEDULES
from bench.sections import NAME
from bench.suite import SECTIONS
from bench.sweeps import EACH, simplex_settings
from mtmm.data import DATASETS
from mtmm.encoders import ENCODERS
from mtmm.fusion import FUSIONS
from mtmm.model import MODELS, model_settings
from mtmm.settings import Component, Range, first_sentence, settings_of
from mtmm.sharing import SHARINGS
from mtmm.weighting import WEIGHTINGS

Schema = dict[str, Any]

_WORDS: Schema = {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True}
_NAMED = r"[^.]+"
_SLOTS: Mapping[str, Mapping[str, Component]] = {
    "dataset": DATASETS,
    "encoder": ENCODERS,
    "fusion": FUSIONS,
    "sharing": SHARINGS,
    "weighting": WEIGHTINGS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}
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
    by_name = [
        {"const": name, "description": first_sentence(component)}
        for name, component in registry.items()
    ]
    as_mapping = [
        _object({"name": {"const": name}, **_settings(component)}, required=["name"])
        for name, component in registry.items()
    ]
    return {"anyOf": [*by_name, *as_mapping]}


def _definitions() -> Schema:
    return {
        **{kind: _component(registry) for kind, registry in _SLOTS.items()},
        "encoders": {"type": "object", "additionalProperties": _reference("encoder")},
        "model": _model(),
        "train": _object(
            {
                **_settings(settings.train),
                "optimizer": _reference("optimizer"),
                "schedule": _reference("schedule"),
            }
        ),
        "numerics": _object(_settings(settings.numerics)),
        "overrides": _by_key(lambda schema: schema),
        "axes": _by_key(_axis),
        "block": _block(),
    }


def _model() -> Schema:
    parts = {
        **_settings(model_settings),
        "encoders": _reference("encoders"),
        "fusion": _reference("fusion"),
        "sharing": _reference("sharing"),
    }
    whole = [
        _object({"name": {"const": name}, **_settings(model)}, required=["name"])
        for name, model in MODELS.items()
    ]
    return _any_of([_object(parts), *whole])


def _axis(schema: Schema) -> Schema:
    return {"type": "array", "items": schema, "minItems": 1}


def _by_key(form: typing.Callable[[Schema], Schema]) -> Schema:
    """A mapping of settings, whole or dotted, to what `form` makes of the setting's schema."""
    return _object(
        {key: form(schema) for key, schema in _keys()},
        patternProperties={f"^{key}$": form(schema) for key, schema in _patterns()},
    )


def _block() -> Schema:
    axes = _by_key(_axis)
    axes["properties"] |= {
        "zip": _reference("axes"),
        "simplex": _object(_settings(simplex_settings)),
    }
    return axes | {"minProperties": 1}


def _keys() -> Iterator[tuple[str, Schema]]:
    """Every setting that a sweep can name, but for those inside named things."""
    yield from _parts().items()
    for prefix in ("", "model."):
        for kind in ("fusion", "sharing"):
            yield f"{prefix}{kind}", _reference(kind)
            yield from _inside(f"{prefix}{kind}", _SLOTS[kind])
        yield f"{prefix}encoders", _reference("encoders")
    yield "model.width", _settings(model_settings)["width"]
    yield from _inside("model", MODELS)
    yield from _inside("dataset", DATASETS)
    yield from _inside("weighting", WEIGHTINGS)
    for section, signature in (("train", settings.train), ("numerics", settings.numerics)):
        for name, schema in _settings(signature).items():
            yield f"{section}.{name}", schema
    for kind in ("optimizer", "schedule"):
        yield f"train.{kind}", _reference(kind)
        yield from _inside(f"train.{kind}", _SLOTS[kind])


def _patterns() -> Iterator[tuple[str, Schema]]:
    for prefix in ("", r"model\."):
        encoder = rf"{prefix}encoders\.{_NAMED}"
        yield encoder, _reference("encoder")
        for name, schema in _inside("", ENCODERS):
            yield rf"{encoder}\{name}", schema
    for name, setting in settings_of(settings.train).items():
        inner = [
            argument
            for argument in typing.get_args(setting.annotation)
            if typing.get_origin(argument) is dict
        ]
        for mapping in inner:
            yield rf"train\.{name}\..+", type_schema(typing.get_args(mapping)[1])


def _parts() -> dict[str, Schema]:
    """The parts of a variant."""
    return {
        "dataset": _reference("dataset"),
        "modalities": _WORDS,
        "tasks": _WORDS,
        "model": _reference("model"),
        "weighting": _reference("weighting"),
        "train": _reference("train"),
        "numerics": _reference("numerics"),
    }


def _inside(prefix: str, registry: Mapping[str, Component]) -> Iterator[tuple[str, Schema]]:
    """The settings of whatever component is chosen."""
    found: dict[str, list[Schema]] = {}
    for component in registry.values():
        for name, setting in settings_of(component).items():
            found.setdefault(name, []).append(type_schema(setting.annotation))
    for name, schemas in found.items():
        yield f"{prefix}.{name}", _any_of(schemas)


def _sections() -> Schema:
    exclusion = _object(
        {"when": _reference("overrides"), "reason": {"type": "string"}},
        required=["when", "reason"],
    )
    ablate = _by_key(lambda schema: {"anyOf": [schema, _axis(schema)]})
    removal = {"anyOf": [{"const": EACH}, _WORDS]}
    ablate["properties"] |= {"modalities": removal, "tasks": removal}
    seed = {"type": "integer", "minimum": 0}
    return {
        "name": {"type": "string", "pattern": f"^{NAME}$"},
        "question": {"type": "string"},
        **_parts(),
        "encoders": _reference("encoders"),
        "fusion": _reference("fusion"),
        "sharing": _reference("sharing"),
        "sweep": {"type": "array", "items": _reference("block")},
        "ablate": ablate,
        "exclude": {"type": "array", "items": exclusion},
        "seeds": {"anyOf": [{"type": "integer", "minimum": 1}, _axis(seed)]},
        "baseline": _reference("overrides"),
        "timing": {"anyOf": [{"const": "off"}, _object(_settings(settings.timing))]},
        "single_task": {"enum": ["auto", "off"]},
        "max_params": {"type": "number", "minimum": 1},
    }
