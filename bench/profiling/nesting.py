"""Which event is inside which: traces tell only when events start and how long they take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence


def parents(
    threads: Sequence[Hashable], starts: Sequence[float], ends: Sequence[float]
) -> list[int]:
    """For each event the index of the innermost one around it on its thread, or -1.

    Events are ordered by start, and where starts are equal the outer one first. An event is inside
    another of which at least half of it is a part: times are rounded, so that neighbours may
    overlap a little and an inner event may end a little after its outer one.
    """
    found = [-1] * len(threads)
    open_on: defaultdict[Hashable, list[int]] = defaultdict(list)
    for i, (thread, start, end) in enumerate(zip(threads, starts, ends, strict=True)):
        around = open_on[thread]
        middle = (start + end) / 2
        while around and (ends[around[-1]] < middle or ends[around[-1]] <= start < end):
            around.pop()
        if around:
            found[i] = around[-1]
        around.append(i)
    return found
