"""Exceptions of components that a user wrote, told so that the line can be found."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

from mtmm.source import INSTALLED, is_own

_STDLIB = Path(sysconfig.get_path("stdlib")).resolve()


def blame(error: BaseException) -> str:
    """What was raised, on one line, and the innermost line of code that a user wrote.

    A plain ValueError speaks for itself: that is how components tell what does not fit.
    """
    if speaks(error):
        return " ".join(str(error).split())
    text = " ".join(f"{type(error).__name__}: {error}".split())
    place = place_of(error)
    return text if place is None else f"{text} ({place[0]}:{place[1]})"


def speaks(error: BaseException) -> bool:
    """Whether it is a plain ValueError with a message: not, say, one of a decoder."""
    return type(error) is ValueError and bool(str(error).strip())


def place_of(error: BaseException) -> tuple[Path, int] | None:
    """File and line where a user's code was when it was raised, innermost; None where never.

    Neither this project nor Python and what is installed are a user's code.
    """
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        ours = is_own(file) or INSTALLED & set(file.parts) or file.is_relative_to(_STDLIB)
        if not ours and not frame.filename.startswith("<"):
            return file, frame.lineno or 1
    return None
