"""How the units of a run have ended, each record read once: a suite may have thousands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bench.store import Store

_KEPT = ("status", "reason", "log")


class Seen:
    """The outcomes of units whose records can be used, remembered when first asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Mapping[str, Any]] = {}

    def outcome(self, identity: str) -> Mapping[str, Any] | None:
        """`status`, `reason` and `log`, if it has one; None where there is no record to be used."""
        if identity not in self._known:
            record = self._store.read(identity)
            if record is None:
                return None
            self._known[identity] = {key: record[key] for key in _KEPT if key in record}
        return self._known[identity]

    def forget(self, identities: Iterable[str]) -> None:
        """Look at these anew: they may have been written since."""
        for identity in identities:
            self._known.pop(identity, None)
