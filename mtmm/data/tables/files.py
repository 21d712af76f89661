"""Files that a table names: what is none is told before it is opened."""

from __future__ import annotations

import stat
from pathlib import Path


def no_file(path: Path) -> str | None:
    """What keeps a path from being a file, for a message; None: nothing.

    Opening a pipe waits for whoever writes to it, and reading a device may never end.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "is not there"
    except (OSError, ValueError) as error:  # loops of links, names that are too long, NUL bytes
        return f"cannot be a file: {getattr(error, 'strerror', None) or error}"
    if stat.S_ISDIR(mode):
        return "is a folder"
    return None if stat.S_ISREG(mode) else "is a pipe, a socket or a device"
