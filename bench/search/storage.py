"""Where studies are kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend

from bench.errors import InputError


@dataclass(frozen=True)
class Place:
    """A journal in `folder`, or what `url` says; each process opens it for itself."""

    url: str | None
    folder: Path

    @cached_property
    def storage(self) -> BaseStorage:
        """The storage; raises InputError where it cannot be used."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            if self.url is None:
                self.folder.mkdir(parents=True, exist_ok=True)
                return JournalStorage(JournalFileBackend(str(self.folder / "study.journal")))
            return optuna.storages.get_storage(self.url)
        except Exception as error:
            place = self.folder if self.url is None else self.url
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"--storage {place}: it cannot be used: {first}") from None

    def connect(self) -> None:
        """Open the storage now, to see whether it can be used: raises InputError."""
        assert self.storage is not None

    def __getstate__(self) -> dict[str, object]:
        return {"url": self.url, "folder": self.folder}
