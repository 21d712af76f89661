"""Records on disk: one JSON file for each finished unit, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.records import (
    SCHEMA_VERSION,
    Record,
    UnusableError,
    as_record,
)

if TYPE_CHECKING:
    from bench.cell import TimingBlock


class Store:
    """The records under one results folder.

    `cells/` holds the records of all suites, named by identity; `environments/` what machine and
    software they were made with; `<suite>/manifest.json` which of them are whose; `set-aside/`
    what stood in the place of a record and was none, and failed records that were tried again;
    `kept/` has the weights and predictions that were asked for; `logs/`, `checkpoints/`, `locks/`
    and `shared/` serve runs.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.opened = time.time_ns()
        self.moved: list[str] = []
        """What was set aside, where and why, until it is told."""

    def path(self, identity: str) -> Path:
        """The file of a record; deleting it means that the unit is run again."""
        return self.root / "cells" / f"{identity}.json"

    def log(self, identity: str) -> Path:
        """What the process of a unit has printed."""
        return self.root / "logs" / f"{identity}.log"

    def checkpoint(self, identity: str) -> Path:
        """How far a cell is that has not finished."""
        return self.root / "checkpoints" / f"{identity}.pt"

    def kept(self, identity: str) -> Path:
        """Where weights and predictions of a cell are kept, without the ends of their names."""
        return self.root / "kept" / identity

    @property
    def locks(self) -> Path:
        """The folder of the units that are worked on."""
        return self.root / "locks"

    @property
    def shared(self) -> Path:
        """The folder of what processes of one run hand to each other."""
        return self.root / "shared"

    def look(self, identity: str) -> Record:
        """The record of that identity.

        Raises FileNotFoundError where there is none, UnusableError where there is one that is not
        to be read as one.
        """
        path = self.path(identity)
        try:
            value: Any = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise UnusableError(f"it cannot be read: {error.strerror}") from None
        except (ValueError, RecursionError) as error:
            raise UnusableError(f"it is cut off or no JSON: {error}") from None
        return as_record(value, identity)

    def read(self, identity: str) -> Record | None:
        """The record of that identity, or None where there is none that can be used."""
        try:
            return self.look(identity)
        except (FileNotFoundError, UnusableError):
            return None

    def has(self, identity: str) -> bool:
        """Whether there is a record of that identity that can be used."""
        return self.path(identity).exists() and self.read(identity) is not None

    def has_block(self, block: TimingBlock) -> bool:
        """Whether every record of a timing block is there."""
        return all(self.has(block.record_id(arm)) for arm in block.arms)

    def stamp(self, identity: str) -> int:
        """When the file of a record was written, in nanoseconds; 0 where there is none."""
        try:
            return self.path(identity).stat().st_mtime_ns
        except OSError:
            return 0

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
            self.look(identity)
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
    write_text(path, json.dumps(_plain(value), indent=1, ensure_ascii=False))


def write_text(path: Path, text: str) -> None:
    """Write a file atomically: a temporary file beside it, flushed to disk, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        # What a text may hold and UTF-8 may not.
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes it the owner's alone
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _plain(value: Any) -> Any:
    # JSON has no NaN; null reads back as NaN in a frame.
    if isinstance(value, float) and not (abs(value) < float("inf")):
        return None
    if isinstance(value, str) and not value.isascii():
        # Half a surrogate pair, as in the name of a file: no reader of the record could print it.
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
