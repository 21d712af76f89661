"""Text that others wrote, on one line."""

from __future__ import annotations

import re


def one_line(text: object) -> str:
    """Text on one line, without what no reader sees."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def without_password(text: str) -> str:
    """A text with `***` for the passwords of URLs in it."""
    login = re.sub(r"(://[^:/@\s]*):\S*@", r"\1:***@", text)
    return re.sub(r"([?&](?:ssl)?password=)[^&\s]*", r"\1***", login)
