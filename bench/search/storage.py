"""Where studies are kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import optuna
from filelock import FileLock
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from bench.errors import InputError
from bench.lines import without_password
from bench.store import Store


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
            # Optuna makes the tables of an empty database, which two processes cannot do at once.
            locks = Store(self.folder.parent).locks
            locks.mkdir(parents=True, exist_ok=True)
            with FileLock(locks / "storage.open"):
                # A connection may be lost during a trial: by a restart, or a limit of idle ones.
                return RDBStorage(self.url, engine_kwargs={"pool_pre_ping": True})
        except Exception as error:
            place = self.folder if self.url is None else self.url
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            text = without_password(f"--storage {place}: it cannot be used: {first}")
            raise InputError(text) from None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """InputError where the storage is lost inside."""
        try:
            yield
        except StorageInternalError as error:
            first = str(error.__cause__ or error).splitlines()[0]
            text = f"--storage {self.url}: it was lost: {first}: the same command goes on"
            raise InputError(without_password(text)) from None

    def connect(self) -> None:
        """Open the storage now, to see whether it can be used: raises InputError."""
        assert self.storage is not None

    def __getstate__(self) -> dict[str, object]:
        return {"url": self.url, "folder": self.folder}
