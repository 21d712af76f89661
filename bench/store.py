"""Records on disk: one JSON file for each finished unit, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.cell import TimingBlock

Record = dict[str, Any]

SCHEMA_VERSION = 2
"""Of records; part of every identity."""

MANIFEST_VERSION = 2


def _from_1(record: Record) -> Record:
    """Version 1 had no score for each task."""
    return {"task_scores": {"val": {}, "test": {}}, **record}


_READERS: Mapping[int, Callable[[Record], Record]] = {1: _from_1}
"""What brings a record of an older version one version further."""


class UnusableError(ValueError):
    """A file in the place of a record that is none: the text says why."""


class Store:
    """The records under one results folder.

    `cells/` holds the records of all suites, named by identity; `environments/` what machine and
    software they were made with; `<suite>/manifest.json` which of them are whose; `set-aside/`
    what stood in the place of a record and was none, and failed records that were tried again.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.moved: list[str] = []
        """What was set aside, where and why: for the user to know."""

    def path(self, identity: str) -> Path:
        """The file of a record; deleting it means that the unit is run again."""
        return self.root / "cells" / f"{identity}.json"

    def log(self, identity: str) -> Path:
        """What the process of a unit has printed."""
        return self.root / "logs" / f"{identity}.log"

    def checkpoint(self, identity: str) -> Path:
        """How far a cell is that has not finished."""
        return self.root / "checkpoints" / f"{identity}.pt"

    @property
    def locks(self) -> Path:
        """The folder of the units that are worked on."""
        return self.root / "locks"

    def read(self, identity: str) -> Record | None:
        """The record of that identity, or None where there is none that can be used."""
        try:
            return self._read(identity)
        except (OSError, UnusableError):
            return None

    def _read(self, identity: str) -> Record:
        try:
            record: Any = json.loads(self.path(identity).read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise UnusableError(f"it is cut off or no JSON: {error}") from None
        if not isinstance(record, dict) or record.get("id") != identity:
            raise UnusableError("it is not the record of that name")
        version = record.get("schema_version")
        if not isinstance(version, int) or version > SCHEMA_VERSION or version < 1:
            raise UnusableError(f"its version is {version!r}, this program reads {SCHEMA_VERSION}")
        while version < SCHEMA_VERSION:
            record = _READERS[version](record)
            version += 1
        usable: Record = record
        return usable

    def has(self, identity: str) -> bool:
        """Whether there is a record of that identity that can be used."""
        return self.path(identity).exists() and self.read(identity) is not None

    def has_block(self, block: TimingBlock) -> bool:
        """Whether every record of a timing block is there.

        Records without samples are those of a process that died; their block is tried again.
        """
        records = (self.read(block.record_id(arm)) for arm in block.arms)
        return all(record is not None and "samples" in record for record in records)

    def records(self) -> Iterator[Record]:
        """Every record that can be used."""
        for path in sorted((self.root / "cells").glob("*.json")):
            record = self.read(path.stem)
            if record is not None:
                yield record

    def write(self, identity: str, record: Mapping[str, Any]) -> None:
        """Keep a record; whoever reads it sees all of it or none.

        What stands in its place and is no record is set aside. Raises OSError where that fails.
        """
        try:
            self._read(identity)
        except FileNotFoundError:
            pass
        except UnusableError as error:
            self.set_aside(identity, str(error))
        whole = {"schema_version": SCHEMA_VERSION, "id": identity, **record}
        write_json(self.path(identity), whole)

    def set_aside(self, identity: str, reason: str) -> None:
        """Move the file of a record out of the way; nothing is ever deleted."""
        path = self.path(identity)
        folder = self.root / "set-aside"
        folder.mkdir(parents=True, exist_ok=True)
        handle, place = tempfile.mkstemp(dir=folder, prefix=f"{identity}.", suffix=".json")
        os.close(handle)
        os.replace(path, place)
        self.moved.append(f"{path}: {reason}; kept as {place}")

    def write_environment(self, environment: Mapping[str, Any]) -> str:
        """Keep a description of machine and software once; the name records refer to it by."""
        text = json.dumps(environment, sort_keys=True)
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        path = self.root / "environments" / f"{name}.json"
        if not path.exists():
            write_json(path, environment)
        return name

    def suite_folder(self, suite: str) -> Path:
        """Where a suite's manifest, tables and figures are."""
        return self.root / suite


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON atomically; numbers that are not finite become null."""
    write_text(path, json.dumps(_finite(value), indent=1, ensure_ascii=False))


def write_text(path: Path, text: str) -> None:
    """Write a file atomically: a temporary file beside it, flushed to disk, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        # What a text of an exception may hold and UTF-8 may not is written as JSON writes it.
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes it the owner's alone
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _finite(value: Any) -> Any:
    # JSON has no NaN; null reads back as NaN in a frame.
    if isinstance(value, float) and not (abs(value) < float("inf")):
        return None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
