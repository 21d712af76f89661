"""Names that a tracker takes, for variants, tasks and settings that are named at will."""

from __future__ import annotations

import hashlib
import re


def safe(name: str, allowed: str, most: int) -> str:
    """The name with `_` for what is not `allowed`, which is the inside of `[...]` in a pattern.

    It begins with a letter, a digit or `_` and has at most `most` characters. Where that takes a
    change, eight digits made of the whole name follow: different names stay different, and a name
    is always written in the same way.
    """
    kept = re.sub(r"^\W", "_", re.sub(rf"[^{allowed}]", "_", name))
    if kept == name and 0 < len(name) <= most:
        return name
    mark = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{kept[: most - 9]}_{mark}"


def shortened(name: str, most: int) -> str:
    """A name for people with at most `most` characters: a long one without its middle."""
    if len(name) <= most:
        return name
    half = (most - 1) // 2
    return f"{name[:half]}…{name[-half:]}"
