"""Every combination of a finite space, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any

from bench.search.configuring import Config, configured
from bench.space import Entry
from bench.variant import Resolver


def grid(arm: Config, space: Sequence[Entry], most: int) -> list[dict[str, Any]]:
    """The first `most` combinations of the arm, each as the parameters of a trial."""
    return list(islice(_combinations(arm, space), most))


def _combinations(arm: Config, space: Sequence[Entry]) -> Iterator[dict[str, Any]]:
    resolver, walk = Resolver(), _Walk(())
    while True:
        configured(arm, space, walk, resolver)
        yield walk.chosen
        digits = list(walk.digits)
        while digits and digits[-1][0] + 1 == digits[-1][1]:
            digits.pop()
        if not digits:
            return
        walk = _Walk([*(i for i, _ in digits[:-1]), digits[-1][0] + 1])


class _Walk:
    """Proposes the values of given places among their choices, and the first of all that follow.

    What is asked for depends on what came before: combinations are the leaves of a tree.
    """

    def __init__(self, places: Sequence[int]) -> None:
        self._places = places
        self.digits: list[tuple[int, int]] = []
        """Of every setting so far, the place of its value and how many it has."""
        self.chosen: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._take(name, choices)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        assert step is not None, "a range without steps is refused while planning"
        first, by = Decimal(str(low)), Decimal(str(step))
        count = int((Decimal(str(high)) - first) / by) + 1
        return float(self._take(name, [float(first + i * by) for i in range(count)]))

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        return int(self._take(name, range(low, high + 1, step)))

    def _take(self, name: str, values: Sequence[Any]) -> Any:
        at = len(self.digits)
        place = self._places[at] if at < len(self._places) else 0
        self.digits.append((place, len(values)))
        self.chosen[name] = values[place]
        return values[place]
