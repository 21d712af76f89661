"""What a command line asks of suites beside their files."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.environment import pick_device
from bench.errors import InputError
from bench.planning import Plan, make_plan
from bench.plugins import load_plugins
from bench.smoke import smoke
from bench.suite import Given, load_suite, parse_given


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of suites beside their files."""

    results: Path
    device: torch.device
    given: tuple[Given, ...]
    smoke: bool

    @classmethod
    def of(cls, options: argparse.Namespace) -> Request:
        """The request of a command line; its plugins are loaded."""
        load_plugins(options.plugins)
        given = [parse_given(f"--set {text}", text) for text in options.settings]
        if options.seeds is not None:
            given.append(parse_given(f"--seeds {options.seeds}", f"seeds={options.seeds}"))
        return cls(
            results=options.results,
            device=_pick(options.device),
            given=tuple(given),
            smoke=options.smoke,
        )

    def plan(self, suite: Path) -> Plan:
        """The plan of a suite."""
        loaded = load_suite(suite, self.given)
        return make_plan(smoke(loaded) if self.smoke else loaded)


def check_results(results: Path) -> None:
    """Make the results folder; InputError where that cannot be."""
    try:
        results.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--results {results}: {error.strerror}") from None


def _pick(device: str) -> torch.device:
    try:
        return pick_device(device)
    except ValueError as error:
        raise InputError(f"--device: {error}") from None
