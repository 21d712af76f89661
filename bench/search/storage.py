"""Where studies are kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import optuna
from filelock import FileLock
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

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
                return _journal(self.folder / "study.journal")
            # Optuna makes the tables of an empty database, which two processes cannot do at once.
            locks = Store(self.folder.parent).locks
            locks.mkdir(parents=True, exist_ok=True)
            with FileLock(locks / "storage.open"):
                # A connection may be lost during a trial: by a restart, or a limit of idle ones.
                return RDBStorage(self.url, engine_kwargs={"pool_pre_ping": True})
        except Exception as error:
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            if self.url is None:
                text = f"{self.folder / 'study.journal'}: no journal that can be used: {first}: "
                raise InputError(f"{text}move it away, what was trained is read again") from None
            text = without_password(f"--storage {self.url}: it cannot be used: {first}")
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


def _journal(path: Path) -> JournalStorage:
    """A journal in a file; a last line that somebody was killed in is taken away."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not _ends_a_line(path):
        lock = JournalFileSymlinkLock(str(path))
        lock.acquire()
        try:
            if not _ends_a_line(path):
                whole = path.read_bytes().rpartition(b"\n")
                os.truncate(path, len(whole[0]) + len(whole[1]))
        finally:
            lock.release()
    return JournalStorage(JournalFileBackend(str(path)))


def _ends_a_line(path: Path) -> bool:
    return not path.exists() or path.read_bytes()[-1:] in (b"", b"\n")
