"""What a command line asks of suites beside their files."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.environment import pick_devices
from bench.errors import InputError
from bench.planning import Plan, make_plan
from bench.plugins import load_plugins
from bench.smoke import smoke
from bench.suite import Given, Suite, load_suite, parse_given


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of suites beside their files."""

    results: Path
    devices: tuple[torch.device, ...]
    given: tuple[Given, ...]
    smoke: bool
    plugins: tuple[Path, ...] = ()

    def load(self) -> None:
        """Load the plugins, as `of` does, in another process."""
        load_plugins(self.plugins)

    @classmethod
    def of(cls, options: argparse.Namespace) -> Request:
        """The request of a command line; its plugins are loaded."""
        load_plugins(options.plugins)
        given = [parse_given(f"--set {text}", text) for text in options.settings]
        if options.seeds is not None:
            given.append(parse_given(f"--seeds {options.seeds}", f"seeds={options.seeds}"))
        return cls(
            results=options.results,
            devices=_pick(options.device),
            given=tuple(given),
            smoke=options.smoke,
            plugins=tuple(options.plugins),
        )

    def suite(self, path: Path) -> Suite:
        """The suite in a file, as it is asked for."""
        loaded = load_suite(path, self.given)
        return smoke(loaded) if self.smoke else loaded

    def plan(self, suite: Path) -> Plan:
        """The plan of a suite; its base can be had on the devices."""
        planned = make_plan(self.suite(suite))
        planned.check_device(self.devices[0])
        return planned


def check_results(results: Path, suites: Sequence[str] = ()) -> None:
    """Make the results folder and those inside; InputError where that cannot be."""
    try:
        for inside in ("", "cells", "environments", "locks", "logs", *suites):
            (results / inside).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--results {results}: {error.filename}: {error.strerror}") from None
    if not os.access(results / "cells", os.W_OK):
        raise InputError(f"--results {results}: nothing can be written there")


def check_readable(results: Path) -> None:
    """InputError where the results folder, or what it would be in, is no folder."""
    place = results.absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise InputError(f"--results {results}: {place} is no folder")


def _pick(devices: str) -> tuple[torch.device, ...]:
    try:
        return pick_devices(devices)
    except ValueError as error:
        raise InputError(f"--device: {error}") from None
