"""Everything a report says, worked out once from the results of a suite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from bench.compare import Comparison, compare
from bench.errors import InputError
from bench.records import FINE
from bench.report.effects import Effects, ablations, base_of, effects
from bench.report.frame import Results, Unit, load_results
from bench.report.parts import part_table
from bench.report.quality import quality_table
from bench.report.ratios import ratio_table
from bench.report.robustness import robustness
from bench.report.scores import Scores, by_task
from bench.report.search import SearchRecord, Unreadable, read_search
from bench.report.verdict import verdict
from mtmm.settings import listed


@dataclass(frozen=True, slots=True)
class Metric:
    """What a manifest says of a metric."""

    higher_is_better: bool
    ideal: float


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """The results of a suite and what follows from them; tables and figures only show it."""

    results: Results
    comparison: Comparison
    verdict: tuple[str, ...]
    by_task: pd.DataFrame
    effects: Effects
    base: str
    """The variant that ablations are compared with."""
    ablations: pd.DataFrame

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The suite's manifest."""
        return self.results.manifest

    @cached_property
    def robustness(self) -> pd.DataFrame:
        """What variants score with less; no row where no suite has asked."""
        return robustness(self.results.frame, list(self.comparison.table["variant"]))

    @cached_property
    def parts(self) -> pd.DataFrame:
        """What the parts of profiled variants cost; no row where none was profiled."""
        return part_table(self.results.profiles, self.results.frame)

    @cached_property
    def ratios(self) -> pd.DataFrame:
        """The parts of profiled variants against the baseline's; see `ratio_table`."""
        results, baseline = self.results, self.comparison.baseline
        return ratio_table(self.parts, results.profiles, results.frame, baseline)

    @cached_property
    def quality(self) -> pd.DataFrame:
        """How good the measurements of training steps are; see `quality_table`."""
        results = self.results
        return quality_table(results.profiles, results.frame, self.comparison.batch_size)

    @cached_property
    def search(self) -> SearchRecord | Unreadable | None:
        """The search that made the suite; None where none did."""
        metrics = self.manifest["metrics"]
        shares = [name for name, metric in metrics.items() if metric["ideal"] == 1]
        return read_search(self.results.folder, shares)

    @cached_property
    def frame_csv(self) -> str:
        """The frame as CSV; a file and the page have it."""
        return self.results.frame.to_csv(index=False, lineterminator="\n")

    @property
    def failed(self) -> list[Unit]:
        """The units that ran and failed."""
        fine = (*FINE, "missing")
        return [unit for unit in self.results.units if unit.status not in fine]

    @property
    def skips(self) -> list[dict[str, str]]:
        """`variant` and `reason` of what is not run: by the plan, or for want of a device."""
        reasons: dict[str, str] = {}
        for unit in self.results.units:
            if unit.status == "skipped":
                reasons.setdefault(unit.variant, unit.reason)
        return [
            *self.manifest["skips"],
            *({"variant": variant, "reason": reason} for variant, reason in reasons.items()),
        ]

    @property
    def missing(self) -> int:
        """How many units have not run yet."""
        return sum(unit.status == "missing" for unit in self.results.units)

    @property
    def newest(self) -> str:
        """When the newest record was started, in ISO 8601; empty where there is none."""
        return max((unit.started for unit in self.results.units), default="")


def analyse(folder: str | Path) -> Analysis:
    """Read a suite's records and work out what they say."""
    results = load_results(folder)
    manifest, frame = results.manifest, results.frame
    comparison = compared(results)
    scores, base = Scores(frame, comparison), base_of(manifest)
    directions = {name: m["higher_is_better"] for name, m in manifest["metrics"].items()}
    return Analysis(
        results=results,
        comparison=comparison,
        verdict=verdict(comparison),
        by_task=by_task(frame, comparison, directions),
        effects=effects(manifest["variants"], comparison.baseline, scores),
        base=base,
        ablations=ablations(manifest["variants"], base, scores),
    )


def compared(results: Results) -> Comparison:
    """The comparison of a suite's variants with its baseline."""
    manifest = results.manifest
    family, names = family_of(manifest), [v["name"] for v in manifest["variants"]]
    if manifest["baseline"] not in names:
        text = f"{results.folder}: the baseline '{manifest['baseline']}' has no record"
        raise InputError(f"{text} (there are: {listed(names)})")
    return compare(
        _narrow(results.frame),
        baseline=manifest["baseline"],
        # Records of one's own may name variants that come later.
        single_task={k: v for k, v in manifest["single_task"].items() if {k, v} <= set(names)},
        metrics={
            name: Metric(metric["higher_is_better"], metric["ideal"])
            for name, metric in manifest["metrics"].items()
        },
        family=family["variants"],
        best_of=family["best_of"],
        rounds=results.rounds,
    )


def family_of(manifest: Mapping[str, Any]) -> Mapping[str, list[str]]:
    """The `variants` with verdicts, and those whose `best_of` is a second comparator."""
    # In a manifest from before suites could say it: all but single-task models for Δm alone.
    every = [variant["name"] for variant in manifest["variants"] if variant["compared"]]
    family: Mapping[str, list[str]] = manifest.get("family", {"variants": every, "best_of": []})
    return family


def _narrow(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame without configurations, and words as categories: `compare` takes a third less."""
    words = {name: frame[name].astype("category") for name in ("variant", "kind", "status")}
    return frame.loc[:, ~frame.columns.str.startswith("config.")].assign(**words)
