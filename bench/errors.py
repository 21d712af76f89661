"""How a command ends, and what a user did wrong, told so that it can be mended."""

from __future__ import annotations

OK, FAILED, BAD_INPUT = 0, 1, 2
"""Exit codes: done, some units failed, bad input."""


class InputError(ValueError):
    """Bad input: a suite, an argument or a file. The text is the whole message."""
