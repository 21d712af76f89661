"""Suites that plan, drawn at random out of everything that is registered, fit the JSON Schema."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bench.document import Document
from bench.optimization import OPTIMIZERS, SCHEDULES
from bench.planning import Plan, make_plan
from bench.schema import suite_schema
from bench.settings import numerics, timing, train
from bench.suite import SuiteError, build_suite
from mtmm.encoders import ENCODERS
from mtmm.fusion import FUSIONS
from mtmm.settings import Component, NameOf, Range, settings_of
from mtmm.sharing import SHARINGS
from mtmm.weighting import WEIGHTINGS

VALIDATOR = Draft202012Validator(suite_schema())
NAMES = {
    "modality": ["image", "text"],
    "task": ["script", "slant"],
    "part": ["encoders", "encoders.image", "fusion", "heads", "heads.slant"],
}
Strategy = st.SearchStrategy[Any]


def values(annotation: Any) -> Strategy:
    """Values of a setting, few of them large."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        for mark in arguments[1:]:
            if isinstance(mark, NameOf):
                return st.sampled_from(NAMES[mark.kind])
        inside: Any = [mark for mark in arguments[1:] if isinstance(mark, Range)]
        return values(arguments[0]).filter(lambda value: all(value in r for r in inside))
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is list:
        return st.lists(values(arguments[0]), min_size=1, max_size=2)
    if origin is dict:
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=2)
    if arguments:
        return st.one_of([values(argument) for argument in arguments])
    simple: dict[Any, Strategy] = {
        int: st.sampled_from([0, 1, 2, 4, 300]),
        float: st.sampled_from([0, 0.0, 0.5, 1, 2.5]),
        bool: st.booleans(),
        str: st.sampled_from(["resnet18", "none such"]),
        type(None): st.none(),
    }
    return simple[annotation]


def some_settings(component: Component) -> Strategy:
    declared = settings_of(component).items()
    drawn = {name: values(setting.annotation) for name, setting in declared}
    return st.fixed_dictionaries({}, optional=drawn)


def component(registry: Mapping[str, Component]) -> Strategy:
    """A component by its name or with some settings."""
    written: list[Strategy] = [
        st.builds(dict, some_settings(one), name=st.just(name)) for name, one in registry.items()
    ]
    return st.one_of(st.sampled_from(list(registry)), *written)


SLOTS: dict[str, Mapping[str, Component]] = {
    "encoders.image": ENCODERS,
    "encoders.text": ENCODERS,
    "fusion": FUSIONS,
    "sharing": SHARINGS,
    "weighting": WEIGHTINGS,
    "train.optimizer": OPTIMIZERS,
    "train.schedule": SCHEDULES,
}
SUBSETS = {
    "modalities": st.none() | st.lists(st.sampled_from(NAMES["modality"]), min_size=1, unique=True),
    "tasks": st.none() | st.lists(st.sampled_from(NAMES["task"]), min_size=1, unique=True),
}


def swept() -> dict[str, Strategy]:
    """What a sweep can name, and the values it can take."""
    keys: dict[str, Strategy] = {
        "dataset.name": st.just("glyphs"),
        "dataset.word_dropout": st.sampled_from([0, 0.5]),
        "model.width": st.sampled_from([4, 8]),
        "train": some_settings(train),
        "numerics": some_settings(numerics),
        **SUBSETS,
    }
    for slot, registry in SLOTS.items():
        keys[slot] = component(registry)
        keys[f"{slot}.name"] = st.sampled_from(list(registry))
        for one in registry.values():
            for name, setting in settings_of(one).items():
                keys[f"{slot}.{name}"] = values(setting.annotation)
    for section, signature in (("train", train), ("numerics", numerics)):
        for name, setting in settings_of(signature).items():
            keys[f"{section}.{name}"] = values(setting.annotation)
            for argument in typing.get_args(setting.annotation):
                if typing.get_origin(argument) is dict:
                    of_name, of_value = typing.get_args(argument)
                    for name_of in NAMES[typing.get_args(of_name)[1].kind]:
                        keys[f"{section}.{name}.{name_of}"] = values(of_value)
    keys |= {f"model.{key}": keys[key] for key in keys if key.startswith(("enc", "fus", "sha"))}
    return keys


SWEPT = swept()


@st.composite
def chosen(draw: st.DrawFn, most: int) -> dict[str, Any]:
    keys = draw(st.lists(st.sampled_from(list(SWEPT)), max_size=most, unique=True))
    return {key: draw(SWEPT[key]) for key in keys}


@st.composite
def suites(draw: st.DrawFn) -> dict[str, Any]:
    axes = {key: [value] for key, value in draw(chosen(3)).items()}
    block: dict[str, Any] = axes or {"fusion": ["concat", "sum"]}
    if len(axes) > 1 and draw(st.booleans()):
        block = {"zip": axes}
    if draw(st.booleans()):
        block = {**block, "simplex": {"points": 2}, "weighting": ["static"]}
    ablate = draw(chosen(1))
    if draw(st.booleans()):
        ablate |= {"tasks": draw(st.sampled_from(["each", ["slant"], ["slant", "slant"]]))}
    return {
        "name": "drawn",
        "dataset": draw(st.sampled_from(["glyphs", {"name": "glyphs", "limit": 300}])),
        "encoders": {"image": "lenet", "text": "lstm"},
        "train": draw(st.sampled_from([{}, {"optimizer": "sgd"}, {"class_weights": "balanced"}])),
        "sweep": [block],
        "ablate": ablate,
        "seeds": draw(st.sampled_from([1, [0, 7]])),
        "timing": draw(st.just("off") | some_settings(timing)),
        **draw(st.fixed_dictionaries({}, optional={**SUBSETS, "weighting": st.just("static")})),
    }


def planned(suite: dict[str, Any]) -> Plan | None:
    try:
        return make_plan(build_suite(Document("f", suite, {})))
    except SuiteError:
        return None


def places(config: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        yield ".".join((*path, key)), value
        if isinstance(value, dict):
            yield from places(value, (*path, key))


@st.composite
def part_of(draw: st.DrawFn, value: Any) -> Any:
    """What an exclusion may say of a value: some of a mapping, or a component's name."""
    if not isinstance(value, dict):
        return value
    if "name" in value and draw(st.booleans()):
        return value["name"]
    keys = draw(st.lists(st.sampled_from(list(value)), unique=True)) if value else []
    return {key: draw(part_of(value[key])) for key in keys}


def test_what_plans_is_valid() -> None:
    found = {"suites": 0, "exclusions": 0, "families": 0}

    @settings(
        max_examples=120, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(suites(), st.data())
    def check(suite: dict[str, Any], data: st.DataObject) -> None:
        plan = planned(suite)
        if plan is None:
            return
        found["suites"] += 1
        VALIDATOR.validate(suite)
        base, *others = (dict(places(variant.config)) for variant in plan.variants)
        if not others:
            return
        there = data.draw(st.sampled_from(others))
        # What the base has too is no exclusion; with something that it has not, it is one.
        own = [key for key, value in there.items() if base.get(key, ...) != value]
        key, other = data.draw(st.sampled_from(own)), data.draw(st.sampled_from(list(there)))
        when = {other: data.draw(part_of(there[other])), key: there[key]}
        excluding = {**suite, "exclude": [{"when": when, "reason": "drawn"}]}
        if planned(excluding) is not None:
            found["exclusions"] += 1
            VALIDATOR.validate(excluding)
        testing = {**suite, "family": {"best": when}}
        if planned(testing) is not None:
            found["families"] += 1
            VALIDATOR.validate(testing)

    check()
    assert min(found.values()) > 20, found
