"""What a component of each kind must be, checked before it gets its name."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Union

from torch import nn

from mtmm.data.base import Dataset
from mtmm.encoders.base import Encoder
from mtmm.fusion.base import Fusion
from mtmm.fusion.decision import DecisionFusion
from mtmm.fusion.tokens import TokenFusion
from mtmm.heads import HEADS
from mtmm.heads.base import Head, Objective
from mtmm.settings import (
    Component,
    NameOf,
    Range,
    check,
    found,
    listed,
    own_settings_of,
    settings_of,
)
from mtmm.sharing.base import Sharing
from mtmm.weighting.base import Weighting
from mtmm.weighting.gramian import GramianWeighting
from mtmm.weighting.jacobian import JacobianWeighting

Calls = Mapping[str, tuple[str, ...]]
"""The arguments of methods: `x` by position, `x=` by name, `**` the component's settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A kind of component: its base class, what it is made from, what a subclass must define.

    `parameters` are the positional arguments of the constructor, and those `optional` that it may
    take besides; `calls` how its methods are
    called. `facts(component, name)` yields what is wrong with a subclass beyond that.
    """

    base: type
    parameters: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    calls: Calls = field(default_factory=dict)
    facts: Callable[[Any, str], Iterator[str]] = lambda component, name: iter(())


def violation(kind: str, name: str, component: object) -> str | None:
    """What keeps `component` from being that kind's of that name: the rule and what was found."""
    return next(_violations(kind, name, component), None)


def _violations(kind: str, name: str, component: object) -> Iterator[str]:
    # In order: a later one may be nonsense where there is an earlier one.
    contract = CONTRACTS[kind]
    if contract.base is Dataset:
        if isinstance(component, Dataset):
            yield from _dataset(component)
        else:
            yield f"must be an mtmm.data.base.Dataset(build, describe); found {component!r}"
        return
    base = contract.base
    if not inspect.isclass(component) or not issubclass(component, base):
        yield f"must be a subclass of {base.__module__}.{base.__name__}; found {component!r}"
        return
    for method in contract.methods:
        if getattr(component, method) is getattr(base, method):
            yield f"must define `{method}`; found that of {base.__name__}"
    yield from contract.facts(component, name)
    yield from _signature("(its constructor)", component, contract.parameters, contract.optional)
    yield from _settings(component)
    yield from _called(component, contract.calls)


def _called(component: type, calls: Calls, owner: str = "") -> Iterator[str]:
    """Whether methods, where there are any of these names, can be called as they will be."""
    for method, wanted in calls.items():
        function = getattr(component, method, None)
        if not callable(function):
            continue
        bare = isinstance(inspect.getattr_static(component, method), classmethod | staticmethod)
        given: list[object] = [] if bare else [component]
        given += [name for name in wanted if name.isidentifier()]
        named = {name[:-1]: None for name in wanted if name.endswith("=")}
        if "**" in wanted:
            named |= dict.fromkeys(settings_of(component))
        try:
            inspect.signature(function).bind(*given, **named)
        except TypeError:
            words = [name for name in wanted if name != "**"] + [f"{name}=" for name in named]
            told = f"{method}({', '.join(dict.fromkeys(words))})"
            yield f"{owner}must take the call `{told}`; found `{method}({_written(function)})`"


def _signature(
    owner: str, function: Component, wanted: tuple[str, ...], optional: tuple[str, ...] = ()
) -> Iterator[str]:
    """Callers pass `wanted` by position or name, and settings by name."""
    empty = inspect.Parameter.empty
    parameters = list(inspect.signature(function).parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = tuple(p.name for p in positional if p.default is empty)
    if required != wanted:
        yield f"{owner} must take ({', '.join(wanted)}); found ({', '.join(required)})"
    for p in positional:
        if p.default is not empty and p.name not in optional:
            yield f"{owner} must take settings by keyword: write `*, ` before `{_told(p)}`"
    for p in parameters:
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            yield f"{owner} must name what it takes; found `{_told(p)}`"
        if p.kind is p.KEYWORD_ONLY and empty in (p.annotation, p.default):
            rule = f"setting `{p.name}` needs an annotation and a default"
            yield f"{owner}: {rule}; found `{_told(p)}`"


def _settings(component: Component) -> Iterator[str]:
    common = getattr(component, "common_settings", None)
    try:
        own = own_settings_of(component)
        common = own_settings_of(common) if common else {}
        declared = settings_of(component)
    except Exception as error:  # an annotation may be any expression
        told = f"{type(error).__name__}: {error}"
        yield f"needs annotations that can be evaluated, not behind TYPE_CHECKING; found {told}"
        return
    for setting in declared.values():
        if setting.name == "name":
            yield "cannot have a setting `name`: suites write the component's own name there"
        if setting.name in own and setting.name in common:
            yield f"cannot have a setting `{setting.name}`: all of its kind have one"
        for part in unknown_types(setting.annotation):
            known = "bool, int, float, str, None, Literal, list, dict[str, ...], unions of these"
            yield (
                f"setting `{setting.name}` must be of types that a suite can write ({known}, and "
                f"Annotated with a Range); found {part!r}"
            )
            break
        else:
            _, wrong = check(setting.annotation, setting.default)
            if wrong is not None:
                yield f"the default of setting `{setting.name}` {wrong}"


def unknown_types(annotation: Any) -> Iterator[Any]:
    """The parts of an annotation that `mtmm.settings.check` cannot check."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if not arguments:
        if annotation not in _WRITTEN:
            yield annotation
    elif origin is typing.Annotated:
        yield from unknown_types(arguments[0])
        yield from (mark for mark in arguments[1:] if not isinstance(mark, Range | NameOf))
    elif origin in (Union, types.UnionType, list):
        for argument in arguments:
            yield from unknown_types(argument)
    elif origin is dict:
        key, value = arguments
        if key is not str and typing.get_args(key)[:1] != (str,):
            yield annotation
        yield from unknown_types(value)
    elif origin is Literal:
        yield from (item for item in arguments if type(item) not in _WRITTEN)
    else:
        yield annotation


_WRITTEN = (bool, int, float, str, type(None))


def _dataset(dataset: Dataset) -> Iterator[str]:
    for name in ("build", "describe"):
        yield from _signature(f"`{name}`", getattr(dataset, name), ())
    yield from _settings(dataset.build)
    built, described = settings_of(dataset.build), settings_of(dataset.describe)
    if built != described:
        yield (
            "`build` and `describe` must take the same settings; found "
            f"({_written(dataset.build)}) and ({_written(dataset.describe)})"
        )


def _written(function: Component) -> str:
    return ", ".join(map(_told, inspect.signature(function).parameters.values()))


def _told(p: inspect.Parameter) -> str:
    stars = "*" if p.kind is p.VAR_POSITIONAL else "**" if p.kind is p.VAR_KEYWORD else ""
    return f"{stars}{p.name}" + ("" if p.default is p.empty else f"={p.default!r}")


def _encoder(encoder: type[Encoder], _: str) -> Iterator[str]:
    kinds = getattr(encoder, "kinds", None)
    if not _are_words(kinds) or not kinds:
        yield f"must say in `kinds` which kinds of modalities it reads, as a set; found {kinds!r}"


def _are_words(kinds: object) -> bool:
    return isinstance(kinds, set | frozenset) and all(isinstance(kind, str) for kind in kinds)


def _fusion(fusion: type[Fusion], _: str) -> Iterator[str]:
    if fusion.level not in ("feature", "token", "decision"):
        yield f"`level` must be feature, token or decision; found {found(fusion.level)}"
    elif fusion.level == "token":
        yield from _called(fusion, {"forward": ("features", "present", "token_mask")})
    elif fusion.level == "decision" and not issubclass(fusion, DecisionFusion):
        yield f"of level decision must be a subclass of {DecisionFusion.__module__}.DecisionFusion"
    if issubclass(fusion, TokenFusion) and fusion.fuse is TokenFusion.fuse:
        yield "must define `fuse`; found that of TokenFusion"
    if issubclass(fusion, DecisionFusion) and fusion.reads_features:
        yield from _called(fusion, {"forward": ("features", "present", "gate_features")})


def _sharing(sharing: type[Sharing], _: str) -> Iterator[str]:
    if sharing.independent and sharing.islands is Sharing.islands:
        yield "is `independent` and must define `islands`; found that of Sharing"


def _weighting(weighting: type[Weighting], _: str) -> Iterator[str]:
    if weighting.needs not in _STEPPED:
        yield f"`needs` must be losses, gramian or jacobian; found {found(weighting.needs)}"
        return
    yield from _called(weighting, {"step": _STEPPED[weighting.needs]})
    if weighting.needs != "losses" and weighting.space not in weighting.spaces:
        spaces = listed(sorted(weighting.spaces)) or "none"
        text = f"`space` must be one of its `spaces` ({spaces})"
        yield f"{text}; found {found(weighting.space)}"
    for base, method in ((GramianWeighting, "solve"), (JacobianWeighting, "combine")):
        if issubclass(weighting, base) and getattr(weighting, method) is getattr(base, method):
            yield f"must define `{method}`; found that of {base.__name__}"
    if weighting.learned and weighting.parameter_gradients is Weighting.parameter_gradients:
        yield "has `learned` tensors and must define `parameter_gradients`; found that of Weighting"


_STEPPED: Mapping[str, tuple[str, ...]] = {
    "losses": ("state", "losses"),
    "gramian": ("state", "losses", "gramian"),
    "jacobian": ("state", "losses", "jacobian", "features"),
}


def _head(head: type[Head], name: str) -> Iterator[str]:
    objective = getattr(head, "objective", None)
    if not inspect.isclass(objective) or not issubclass(objective, Objective):
        yield f"must name its Objective subclass in `objective`; found {objective!r}"
        return
    for method in ("loss", "sums", "update", "measure", "constant"):
        if getattr(objective, method) is getattr(Objective, method):
            yield f"its objective must define `{method}`; found that of Objective"
    yield from _called(objective, _JUDGED, "its objective ")
    metrics, primary = getattr(objective, "metrics", {}), getattr(objective, "primary", None)
    if primary not in metrics:
        yield f"its objective's `primary` must be one of {listed(metrics)}; found {primary!r}"
    yield from _served(head, objective)
    others = {kind: other.objective.metrics for kind, other in HEADS.items() if kind != name}
    for metric, meaning in metrics.items():
        for kind, theirs in others.items():
            # A column has one direction and one ideal.
            if theirs.get(metric, meaning) != meaning:
                text = f"metric '{metric}' must mean what it does for {kind}, {theirs[metric]}"
                yield f"{text}; found {meaning}"


def _served(head: type[Head], objective: type[Objective]) -> Iterator[str]:
    """What is wrong with the kinds of tasks it serves besides the one of its name."""
    if not _are_words(head.kinds):
        yield f"must say in `kinds` which kinds of tasks it serves, as a set; found {head.kinds!r}"
        return
    for kind in sorted(head.kinds & HEADS.keys()):
        usual = HEADS[kind].objective
        # Scores of one task are compared, whatever its heads.
        if not issubclass(objective, usual) or objective.primary != usual.primary:
            text = f"its objective must be a subclass of {usual.__name__}, that of '{kind}'"
            yield f"{text}, with the same `primary`; found {objective.__name__}"


_JUDGED: Calls = {
    "loss": ("output", "target", "labelled"),
    "sums": ("device",),
    "update": ("sums", "output", "target", "labelled"),
    "measure": ("sums",),
    "constant": ("target", "labelled"),
    "weighted": ("weights", "target", "labelled"),
    "unfit": ("target", "labelled"),
}

CONTRACTS: Mapping[str, Contract] = {
    "dataset": Contract(base=Dataset),
    "encoder": Contract(
        base=Encoder,
        parameters=("modality", "width"),
        calls={"forward": ("x", "mask")},
        facts=_encoder,
    ),
    "fusion": Contract(
        base=Fusion,
        parameters=("dims", "out_dim"),
        optional=("feature_dims",),
        methods=("forward",),
        calls={"forward": ("features", "present"), "check": ("modalities", "settings")},
        facts=_fusion,
    ),
    "sharing": Contract(
        base=Sharing,
        parameters=("make_path", "tasks"),
        methods=("forward",),
        calls={"forward": ("inputs", "present"), "islands": (), "path_count": ("num_tasks", "**")},
        facts=_sharing,
    ),
    "weighting": Contract(
        base=Weighting,
        methods=("step",),
        calls={
            "check": ("num_tasks",),
            "init": ("num_tasks", "device=", "dtype="),
            "draw": ("state", "size", "generator"),
            "after_step": ("state", "losses"),
            "epoch_end": ("state", "losses"),
        },
        facts=_weighting,
    ),
    "head": Contract(
        base=Head,
        parameters=("dim", "task"),
        methods=("forward",),
        calls={"forward": ("features",)},
        facts=_head,
    ),
    "model": Contract(
        base=nn.Module,
        parameters=("bundle",),
        methods=("forward",),
        calls={
            "forward": ("inputs", "present"),
            "parts": (),
            "islands": (),
            "shared_space": (),
        },
    ),
}
