"""The other side of `call_isolated`: run as a script, with the import path of the caller.

Nothing but the standard library is imported before that path is known.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from pathlib import Path


def main(request: str, answer: str) -> None:
    """Read a call from the file `request`, make it, and write what came of it to `answer`."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with Path(request).open("rb") as file:
        sys.path[:] = pickle.load(file)
        try:
            function, arguments = pickle.load(file)
            outcome = (True, function(*arguments))
        except Exception as error:
            outcome = (False, error)
    partial = Path(f"{answer}.partial")
    partial.write_bytes(pickle.dumps(outcome))
    partial.replace(answer)


def _end_with_parent() -> None:
    """Whoever waits for the answer holds the other end of our input; our group is our own."""
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
