"""From a suite to its configurations: every combination resolved, merged, skipped or refused."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench.conditions import Exclusion
from bench.matching import FAR, MATCH, OFF, PARAMETERS, matched, nearest_width, unmatched
from bench.naming import ABSENT, look_up
from bench.overrides import Choice, Override, OverrideError, SimplexPoint, apply
from bench.simplex import simplex_points
from bench.suite import Suite, SuiteError
from bench.variant import Resolver, describe, with_defaults
from mtmm.configuration import model_settings
from mtmm.data import DATASETS
from mtmm.registry import resolve
from mtmm.settings import Path, Problem, found, listed, nearest, settings_of

Config = dict[str, Any]

MAX_COMBINATIONS = 20_000


@dataclass(slots=True)
class Expansion:
    """What a suite came to: configurations without duplicates, and what went wrong on the way."""

    suite: Suite
    configs: dict[str, Config] = field(default_factory=dict)
    skipped: dict[str, tuple[Config, str]] = field(default_factory=dict)
    origins: dict[str, Choice] = field(default_factory=dict)
    """The first choice that led to each configuration, run or skipped; empty for the base alone."""
    ablated: set[str] = field(default_factory=set)
    """Configurations that an ablation leads to, whatever else does."""
    problems: list[Problem] = field(default_factory=list)
    matched: set[Path] = field(default_factory=set)
    """Places of the exclusions that some combination matched."""
    resolver: Resolver = field(default_factory=Resolver)
    raw: dict[str, Any] = field(init=False)
    _of_base: set[tuple[Path, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.raw = with_defaults(self.suite.base)

    def add(self, choice: Choice) -> str | None:
        """Resolve one variant and keep or skip it; its key, or None where it was refused."""
        problems: list[Problem] = []
        try:
            given, choice = choice, self._matched(choice, problems)
            raw = apply(self.raw, _with_points(choice, self.raw))
        except OverrideError as error:
            self.problems.append(Problem(error.source, str(error)))
            return None
        config = self.resolver.resolve(_without_match(raw), problems)
        reason = self._excluded(config)
        if not problems:
            return self._keep(config, choice, reason)
        if choice and all(problem.combination for problem in problems):
            told = "; ".join(problem.message for problem in problems)
            return self._skip(config, choice, told)
        self._tell(problems, given)
        return None

    def _matched(self, choice: Choice, problems: list[Problem]) -> Choice:
        """The choice with the width that `match: parameters` comes to."""
        raw = apply(self.raw, _with_points(choice, self.raw))
        model = raw.get("model")
        wanted = model.get("match", OFF) if isinstance(model, dict) else OFF
        if wanted != PARAMETERS:
            if wanted not in (OFF, None):
                text = f"`match` must be {PARAMETERS} or {OFF}; found {found(wanted)}"
                problems.append(Problem(MATCH, text))
            return unmatched(choice)
        target = self._parameters(apply(self.raw, self.suite.baseline))
        if target is None or not isinstance(model, dict) or "name" in model:
            text = "`match: parameters` needs a model and a baseline put together from parts"
            problems.append(Problem(MATCH, text, combination=True))
            return unmatched(choice)

        def count(width: int) -> int | None:
            return self._parameters({**raw, "model": {**model, "width": width}})

        own = model.get("width", settings_of(model_settings)["width"].default)
        width = nearest_width(count, target, start=own if isinstance(own, int) else 1)
        size = None if width is None else count(width)
        if width is None or size is None:
            # Where it cannot be had at its own width either, that is told when it is resolved.
            if isinstance(own, int) and count(own) is not None:
                text = "`match: parameters` found no width near its own at which it can be made"
                problems.append(Problem(MATCH, text, combination=True))
            return unmatched(choice)
        if abs(size - target) > FAR * target:
            text = f"`match: parameters` comes to {size:,} parameters at best"
            told = f"{text}, and the baseline has {target:,}"
            problems.append(Problem(MATCH, told, combination=True))
        return matched(choice, width)

    def _parameters(self, raw: Mapping[str, Any]) -> int | None:
        problems: list[Problem] = []
        config = self.resolver.resolve(_without_match(raw), problems)
        return None if problems else self.resolver.parameters(config)

    def resolved(self, raw: Mapping[str, Any]) -> Config | None:
        """A configuration out of settings that no file holds; None where it is not to be run."""
        problems: list[Problem] = []
        config = self.resolver.resolve(raw, problems)
        return None if problems or self._too_large(config) else config

    def _keep(self, config: Config, choice: Choice, excluded: Exclusion | None) -> str | None:
        too_large = self._too_large(config)
        if choice and (excluded or too_large):
            return self._skip(config, choice, excluded.reason if excluded else too_large or "")
        if excluded:
            text = "matches the base, which is always planned"
            self.problems.append(Problem(excluded.source, text))
        elif too_large:
            self._tell([Problem(("model",), too_large)], choice)
        key = key_of(config)
        self.configs.setdefault(key, config)
        self._note(key, choice)
        return key

    def _skip(self, config: Config, choice: Choice, reason: str) -> str:
        key = key_of(config)
        self.skipped.setdefault(key, (config, reason))
        self._note(key, choice)
        return key

    def _note(self, key: str, choice: Choice) -> None:
        if any(override.source[0] == "ablate" for override in choice):
            self.ablated.add(key)
        if not self.origins.get(key):
            self.origins[key] = choice

    def _excluded(self, config: Config) -> Exclusion | None:
        """The first exclusion that matches; all that do are noted."""
        matching = [one for one in self.suite.exclusions if agrees(config, one.when)]
        self.matched.update(one.source for one in matching)
        return matching[0] if matching else None

    def _tell(self, problems: Sequence[Problem], choice: Choice) -> None:
        if not choice:
            self._of_base = {(problem.path, problem.message) for problem in problems}
        for problem in problems:
            # A meaningless combination in a sweep is skipped: only the mistakes beside it are
            # told, and of those not again what is the base's.
            known = choice and (problem.path, problem.message) in self._of_base
            if not known and not (choice and problem.combination):
                self.problems.append(_placed(problem, choice, self.suite))

    def _too_large(self, config: Config) -> str | None:
        count = self.resolver.parameters(config)
        if count is None:
            return None
        if count > self.suite.max_params:
            return f"{count:,} parameters, more than max_params ({self.suite.max_params:,})"
        timed = () if self.suite.timing is None else self.suite.timing.batch_sizes
        size = max((config["train"]["batch_size"], *timed))
        needed, limit = self.resolver.memory_mib(config, size), self.suite.max_memory_mib
        if needed is None or needed <= limit:
            return None
        return (
            f"about {needed:,} MiB to train {count:,} parameters at batch size {size}, more than "
            f"max_memory_mib ({limit:,})"
        )


def _without_match(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without the one that only leads to a width."""
    model = raw.get("model")
    if not isinstance(model, dict) or "match" not in model:
        return dict(raw)
    return {**raw, "model": {key: value for key, value in model.items() if key != "match"}}


def expand(suite: Suite) -> Expansion:
    """Every combination of a suite, with all that is wrong with them in its `problems`.

    Raises SuiteError where there are too many.
    """
    combinations = sum(math.prod(map(len, block)) for block in suite.sweep)
    if combinations > MAX_COMBINATIONS:
        text = f"at most {MAX_COMBINATIONS:,} combinations; found {combinations:,}"
        raise SuiteError(suite.document, [*suite.problems, Problem(("sweep",), text)])
    expansion = Expansion(suite)
    base = expansion.add(())
    for choice in _choices(suite):
        expansion.add(choice)
    if base is not None:
        for choice in _removals(suite, expansion.configs[base], expansion.problems):
            expansion.add(choice)
        if not suite.problems and not expansion.problems:
            expansion.problems += _idle_exclusions(suite, expansion)
    return expansion


def key_of(config: Config) -> str:
    """Equal for equal configurations."""
    return json.dumps(config, sort_keys=True)


def agrees(config: Config, when: Choice) -> bool:
    """Whether a configuration has all these values; null agrees with null, not with nothing."""
    return all(_has(config, override) for override in when)


def _choices(suite: Suite) -> Iterator[Choice]:
    for block in suite.sweep:
        for rows in itertools.product(*block):
            yield tuple(itertools.chain.from_iterable(rows))
    yield from suite.replacements


def _removals(suite: Suite, base: Config, problems: list[Problem]) -> Iterator[Choice]:
    for removal in suite.removals:
        there = base[removal.key]
        unknown = [name for name in removal.names or () if name not in there]
        for name in unknown:
            text = f"the base has no '{name}'{nearest(name, there)} (it has: {listed(there)})"
            problems.append(Problem(removal.source, text))
        if len(there) < 2:
            text = f"nothing is left when '{there[0]}', the only one of the base, is removed"
            problems.append(Problem(removal.source, text))
        elif not unknown:
            for name in removal.names or there:
                rest = [other for other in there if other != name]
                yield (Override((removal.key,), removal.source, rest, label=f"no-{name}"),)


def _idle_exclusions(suite: Suite, expansion: Expansion) -> Iterator[Problem]:
    planned = [*expansion.configs.values(), *(config for config, _ in expansion.skipped.values())]
    for exclusion in suite.exclusions:
        if exclusion.source not in expansion.matched:
            yield idle(exclusion.when, (*exclusion.source, "when"), planned, "combination")


def idle(when: Choice, place: Path, configs: Sequence[Config], noun: str) -> Problem:
    """Why no configuration, called `noun`, agrees: a setting that none has, if it is one alone."""
    for override in when:
        if not any(_has(config, override) for config in configs):
            return Problem(override.source, _why_idle(override, configs, noun))
    return Problem(place, f"matches no {noun}")


def _why_idle(override: Override, configs: Sequence[Config], noun: str) -> str:
    *around, last = override.target
    values = [look_up(config, override.target) for config in configs]
    there = list(dict.fromkeys(_told(value) for value in values if value is not ABSENT))
    if there:
        hint = nearest(_told(override.value), there)
        return f"no {noun} has this value{hint} (there are: {listed(there[:20])})"
    parents = [look_up(config, tuple(around)) for config in configs]
    keys = list(dict.fromkeys(key for p in parents if isinstance(p, Mapping) for key in p))
    return f"no {noun} has a setting '{last}'{nearest(last, keys)} (there are: {listed(keys)})"


def _has(config: Config, override: Override) -> bool:
    value, wanted = look_up(config, override.target), override.value
    if override.target in (("modalities",), ("tasks",)) and isinstance(wanted, list):
        # The configuration has them in the order of the data, a suite in any.
        return isinstance(value, list) and sorted(map(str, wanted)) == sorted(value)
    return _matches(value, wanted)


def _matches(value: Any, wanted: Any) -> bool:
    if isinstance(value, Mapping):
        if isinstance(wanted, str):
            return value.get("name") == wanted
        return isinstance(wanted, Mapping) and all(
            _matches(value.get(key, ABSENT), item) for key, item in wanted.items()
        )
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted  # True == 1
    return bool(value == wanted)


def _told(value: Any) -> str:
    if isinstance(value, Mapping) and set(value) >= {"name"}:
        return str(value["name"])
    return value if isinstance(value, str) else json.dumps(value)


def _with_points(choice: Choice, raw: Mapping[str, Any]) -> Choice:
    """The choice with points of the simplex in place of their numbers."""
    if not any(isinstance(override.value, SimplexPoint) for override in choice):
        return choice
    count = _num_tasks(choice, raw)
    return tuple(
        replace(o, value=list(simplex_points(count, o.value.count)[o.value.index]))
        if isinstance(o.value, SimplexPoint)
        else o
        for o in choice
    )


def _num_tasks(choice: Choice, raw: Mapping[str, Any]) -> int:
    """The number of tasks of a variant; 1 where that is a mistake, told when it is resolved."""
    rest = tuple(o for o in choice if not isinstance(o.value, SimplexPoint))
    settings = apply(raw, rest)
    tasks = settings.get("tasks")
    if isinstance(tasks, list) and tasks:
        return len(tasks)
    problems: list[Problem] = []
    dataset = resolve("dataset", DATASETS, settings.get("dataset"), (), problems)
    whole = None if problems else describe(dataset, problems)
    return len(whole.tasks) if whole is not None else 1


def _placed(problem: Problem, choice: Iterable[Override], suite: Suite) -> Problem:
    """The problem at its place in the file: in the axis it comes from, else in the base."""
    # The innermost axis first: of a component and its setting, swept together, it is the setting.
    for override in sorted(choice, key=lambda override: -len(override.target)):
        target = override.target
        shared = min(len(target), len(problem.path))
        if target[:shared] == problem.path[:shared]:
            inside = problem.path[len(target) :]
            return Problem((*override.source, *inside), problem.message)
    return suite.placed(problem)
