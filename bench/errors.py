"""What a user did wrong, told so that it can be mended. The command line exits with 2 on it."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input: a suite, an argument or a file. The text is the whole message."""
