"""`match: parameters`: the width at which a variant has the baseline's number of parameters."""

from __future__ import annotations

from collections.abc import Callable

from bench.overrides import Choice, Override
from mtmm.settings import Path

MATCH: Path = ("model", "match")
WIDTH: Path = ("model", "width")
WIDEST = 65_536
OFF, PARAMETERS = "off", "parameters"
FAR = 0.1
"""A size this far off the baseline's, as a share of that, is not matched."""

Count = Callable[[int], int | None]
"""The parameters at a width; None where a model of that width cannot be had."""


def matched(choice: Choice, width: int) -> Choice:
    """The choice with that width in place of what it said of `match`, or beside it."""
    told = [override for override in choice if override.target == MATCH]
    source = told[-1].source if told else ("model", "match")
    rest = tuple(o for o in choice if o.target not in (MATCH, WIDTH))
    return (*rest, Override(WIDTH, source, width))


def unmatched(choice: Choice) -> Choice:
    """The choice without what it said of `match`."""
    return tuple(override for override in choice if override.target != MATCH)


def nearest_width(count: Count, wanted: int, start: int) -> int | None:
    """The width whose parameters come nearest to `wanted`, the smaller of equals.

    `count` rises with the width, apart from widths that cannot be had. `start`, the width it had,
    is kept where the width changes nothing. None where no width near that can be had.
    """
    step = _step(count, start)
    if step is None:
        return None
    if count(step) == count(64 * step):
        return start
    low, high = 1, max(1, WIDEST // step)
    while low < high:  # the first that has at least as many
        middle = (low + high) // 2
        found = count(middle * step)
        if found is not None and found < wanted:
            low = middle + 1
        else:
            high = middle
    near = [w * step for w in (low - 1, low) if w >= 1]
    sizes = {w: size for w in near if (size := count(w)) is not None}
    return min(sizes, key=lambda w: (abs(sizes[w] - wanted), w), default=None)


_COARSEST = 64


def _step(count: Count, start: int) -> int | None:
    """The distance of widths that can be had: 1, or what heads must divide."""
    for step in range(1, _COARSEST + 1):
        near = max(step, start // step * step)
        if all(count(w) is not None for w in (near, near + step)):
            return step
    return None
