"""What training and timing of one run have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bench.records import FINE
from bench.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a plan is run, apart from what it says.

    Cells are spread over `devices`; the first one times. `workers` is the number of cells at a
    time: None as many as the cores hold (one a GPU), 0 one after another in this process, where
    nothing can end a cell. `timeout_s` bounds one cell, and one turn of an arm where that takes
    longer than is allowed for anyway. `fail_fast` ends the run with the first unit that fails.
    Without `train` cells that are missing stay so, and what is timed is timed.
    """

    devices: tuple[torch.device, ...]
    workers: int | None = None
    timeout_s: float | None = None
    retry_failed: bool = False
    fail_fast: bool = False
    train: bool = True

    @property
    def device(self) -> torch.device:
        """The device of timing, and the kind of all."""
        return self.devices[0]


class FailFastError(RuntimeError):
    """A unit failed, and the run was asked to end with the first."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run, and what has come of it so far.

    `environment` is the name under which the store has its description, `data` the folder that its
    processes share. `again` holds the records that are to be replaced, failed ones or of cells that
    lack what they are to keep, by identity, and when they were written: one that another run has
    replaced since is left alone.
    """

    store: Store
    options: Options
    environment: str
    data: Path
    again: Mapping[str, int] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    """Units that this run has run."""
    unwritten: dict[str, str] = field(default_factory=dict)
    """Those whose record could not be kept, and why."""

    def is_to_replace(self, identity: str) -> bool:
        """Whether the record is one whose unit is to be run again."""
        return identity in self.again and self.store.stamp(identity) == self.again[identity]

    def set_aside(self, identity: str) -> None:
        """Set a failed record aside that is to be replaced; its unit's lock is held.

        That of a cell that lacks its files stays until there is a better one. Raises OSError.
        """
        if self.is_to_replace(identity) and not self._has_finished(identity):
            self.store.set_aside(identity, "failed, to be tried again")

    def keep(self, identity: str, record: Mapping[str, Any], log: Path) -> None:
        """Write the record of a unit that was run; one that has failed names its log."""
        self.made.add(identity)
        if record["status"] not in FINE and self._has_finished(identity):
            text = f"its files could not be kept: {record['status']}: {record['reason']}"
            self.unwritten[identity] = f"{text}; its record stays"
            return
        if record["status"] not in FINE and log.exists():
            record = {**record, "log": f"logs/{log.name}"}
        try:
            self.set_aside(identity)
            self.store.write(identity, {**record, "environment": self.environment})
        except OSError as error:
            self.unwritten[identity] = f"its record could not be written: {error}"

    def _has_finished(self, identity: str) -> bool:
        record = self.store.read(identity)
        return record is not None and record["status"] in FINE

    def lose(self, identity: str, error: OSError) -> None:
        """Note that a unit could not even be started."""
        self.made.add(identity)
        self.unwritten[identity] = f"it could not be started: {error}"

    def failure(self, identity: str) -> str:
        """Why a unit has failed; empty where it has not."""
        record = self.store.read(identity)
        if identity in self.unwritten or record is None:
            return self.unwritten.get(identity, "its record is gone")
        return "" if record["status"] in FINE else f"{record['status']}: {record['reason']}"
