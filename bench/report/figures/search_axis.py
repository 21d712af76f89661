"""An upright axis of parallel coordinates: where on it a value stands, and what it says there."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib.ticker import LogLocator, MaxNLocator

from bench.lines import one_line
from bench.report.search import Setting
from bench.report.settings import full_name

MOST_CHOICES = 12
"""Of which each has its name at the axis; of more, every second or third."""

_ROOM = 0.16
"""Share of the axis that a number needs for itself."""

WIDE = 30
"""Numbers above 0 that differ by more than this factor go on a log scale."""


@dataclass(frozen=True, slots=True)
class UprightAxis:
    """`ticks` are places from 0 (foot) to 1 and texts; `places` are those of choices by text."""

    low: float = 0.0
    high: float = 1.0
    log: bool = False
    places: Mapping[str, float] = field(default_factory=dict)
    ticks: Sequence[tuple[float, str]] = ()

    def place(self, value: float | str | None) -> float:
        """Where a value stands, from 0 to 1; NaN where there is none, or it has no place."""
        if isinstance(value, str):
            return self.places.get(value, math.nan)
        if value is None or self.places or (self.log and value <= 0):
            return math.nan
        if not self.log:
            return (value - self.low) / (self.high - self.low)
        return math.log(value / self.low) / math.log(self.high / self.low)


def axis_of(setting: Setting, values: Iterable[float | str]) -> UprightAxis:
    """The axis of a setting whose trials have these values: its range, or its choices."""
    found = list(values)
    texts = [value for value in found if isinstance(value, str)]
    if setting.choices or texts:
        return choice_axis([*setting.choices, *texts])
    ends = [x for x in (setting.low, setting.high) if not math.isnan(x)]
    return number_axis([*ends, *(x for x in found if not isinstance(x, str))], log=setting.log)


def number_axis(values: Iterable[float], *, log: bool) -> UprightAxis:
    """An axis from the lowest to the highest value; log only where all are above 0."""
    numbers = [value for value in values if not math.isnan(value)]
    low, high = min(numbers, default=0.0), max(numbers, default=1.0)
    if low == high:
        return UprightAxis(low - 0.5, high + 0.5, ticks=[(0.5, number_text(low))])
    axis = UprightAxis(low, high, log and low > 0)
    locator = LogLocator() if axis.log else MaxNLocator(4)
    kept = {0.0: low, 1.0: high}
    for value in map(float, locator.tick_values(low, high)):
        place = axis.place(value)
        if low < value < high and all(abs(place - other) >= _ROOM for other in kept):
            kept[place] = value
    ticks = zip(kept, number_texts(list(kept.values())), strict=True)
    return UprightAxis(low, high, axis.log, ticks=sorted(ticks))


def choice_axis(texts: Iterable[str]) -> UprightAxis:
    """An axis with a place for every choice, the first one at the foot."""
    choices = list(dict.fromkeys(texts))
    step = 1 / max(1, len(choices) - 1)
    places = {text: (i * step if len(choices) > 1 else 0.5) for i, text in enumerate(choices)}
    every = math.ceil(len(choices) / MOST_CHOICES)
    ticks = [(places[text], choice_text(text)) for text in choices[::every]]
    return UprightAxis(places=places, ticks=ticks)


def choice_text(text: str) -> str:
    """A choice for a reader, out of its JSON text."""
    try:
        return one_line(full_name(json.loads(text)))
    except (ValueError, RecursionError):
        return one_line(text)


def number_text(value: float, digits: int = 3) -> str:
    """So many significant digits: 0.0123, 1.5e-5, 950, 12.3k, 4M."""
    size = abs(value)
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if factor <= size < 1e12:
            return f"{value / factor:.{digits}g}{unit}"
    return f"{value:.{digits}g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def number_texts(values: Sequence[float]) -> list[str]:
    """Numbers with as many digits, three or more, as tell them apart."""
    for digits in range(3, 12):
        texts = [number_text(value, digits) for value in values]
        if len(set(texts)) == len(set(values)):
            break
    return texts


def is_wide(values: Iterable[float], *, share: bool) -> bool:
    """Whether numbers are better told apart on a log scale: shares are read on a linear one."""
    if share:
        return False
    numbers = [value for value in values if not math.isnan(value)]
    return bool(numbers) and min(numbers) > 0 and max(numbers) > WIDE * min(numbers)


def brief(names: Sequence[str]) -> dict[str, str]:
    """The last parts of dotted names: two, or as many as tell each from the others."""
    told = {}
    for name in names:
        parts = name.split(".")
        ends = [".".join(parts[-n:]) for n in range(min(2, len(parts)), len(parts) + 1)]
        others = [f".{other}" for other in names if other != name]
        told[name] = next(
            (end for end in ends if not any(o.endswith(f".{end}") for o in others)), name
        )
    return told
