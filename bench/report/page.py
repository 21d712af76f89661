"""The page of a suite: one file that needs no other, and asks the network for nothing."""

from __future__ import annotations

import base64
import gzip
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.lines import one_line
from bench.report.analysis import Analysis
from bench.report.columns import Column
from bench.report.environments import environments
from bench.report.figures.style import Empty
from bench.report.frame import Unit, flatten
from bench.report.notes import notes
from bench.report.parts import part_notes
from bench.report.quality import quality_notes
from bench.report.ratios import ratio_notes
from bench.report.robustness import NOTES
from bench.report.search import SearchRecord, Unreadable
from bench.report.settings import ABSENT, differences, full_name, value_at
from bench.report.svg import inline
from bench.report.tables import printed_tables
from mtmm._version import __version__

MAX_EMBEDDED = 2_000_000
"""Characters of a frame that the page carries along: browsers refuse longer `data:` links."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure as the page shows it, or why there is none."""

    name: str
    title: str
    caption: str
    svg: Markup | None


def picture(name: str, title: str, caption: str, svg: bytes) -> Picture:
    """A drawn figure."""
    return Picture(name, title, caption, inline(svg, name, title))


def no_picture(name: str, empty: Empty) -> Picture:
    """A figure with nothing to show."""
    return Picture(name, empty.title, empty.reason, None)


def page(
    analysis: Analysis,
    pictures: Sequence[Picture],
    of_search: Sequence[Picture],
    files: Sequence[str],
    frame_csv: str,
) -> str:
    """The whole page; `files` are the paths, beside it, of what can be downloaded."""
    manifest = analysis.manifest
    rows = {name: list(_rows(columns)) for name, columns in printed_tables(analysis).items()}
    return (
        templates()
        .get_template("page.html")
        .render(
            suite=one_line(manifest["suite"]),
            question=manifest["question"],
            verdict=analysis.verdict,
            newest=date(analysis.newest),
            counts=counts(analysis),
            columns=printed_tables(analysis),
            rows=rows,
            pictures=pictures,
            search=_search(analysis.search),
            of_search=of_search,
            variants=list(_variants(analysis)),
            baseline=one_line(manifest["baseline"]),
            best=one_line(analysis.comparison.best.variant or ""),
            skips=analysis.skips,
            failed=[_failed(unit) for unit in analysis.failed],
            missing=analysis.missing,
            environments=list(_environments(analysis)),
            command=manifest["command"],
            files=[(path, quote(path)) for path in files],
            frame=_embedded(frame_csv),
            notes=[
                *notes(analysis.comparison),
                *(NOTES if "robustness" in rows else ()),
                *part_notes(analysis.results.profiles),
                *ratio_notes(analysis.ratios),
                *quality_notes(analysis.quality),
            ],
            version=__version__,
        )
    )


@cache
def templates() -> Environment:
    """The templates; everything put into them is escaped."""
    return Environment(
        loader=PackageLoader("bench.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def counts(analysis: Analysis) -> str:
    """How many variants and units there are, and how many have finished."""
    variants = len(analysis.manifest["variants"])
    units = analysis.results.units
    done = sum(unit.status == "ok" for unit in units)
    return (
        f"{variants} variant{'' if variants == 1 else 's'}, {done} of {len(units)} units finished"
    )


def date(started: str) -> str:
    """Day and minute of a moment in ISO 8601, UTC."""
    return started[:16].replace("T", " ")


def _search(search: SearchRecord | Unreadable | None) -> str:
    """What stands above the figures of a search; empty where there was none."""
    if isinstance(search, Unreadable):
        return f"Left out: {search.reason}."
    return "" if search is None else search.told


def _rows(columns: Sequence[Column]) -> Iterator[list[tuple[str, str]]]:
    """Cells with the number to sort by, row by row; empty where there is none."""
    numbers = [[_number(x) for x in c.values] or [""] * len(c.cells) for c in columns]
    for i in range(len(columns[0].cells)):
        yield [(c.cells[i], of[i]) for c, of in zip(columns, numbers, strict=True)]


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.10g}"


def _variants(analysis: Analysis) -> Iterator[dict[str, Any]]:
    """What tells a variant from the baseline, and its whole configuration."""
    manifest = analysis.manifest
    base: Mapping[str, Any] = next(
        (v["config"] for v in manifest["variants"] if v["name"] == manifest["baseline"]), {}
    )
    for variant in manifest["variants"]:
        config = variant["config"]
        yield {
            "name": one_line(variant["name"]),
            "baseline": variant["name"] == manifest["baseline"],
            "compared": variant["compared"],
            "tested": variant["name"] in analysis.comparison.members,
            "twin": manifest["single_task"].get(variant["name"]),
            "changes": [
                (path, _told(value_at(config, path)), _told(value_at(base, path)))
                for path in differences(base, config)
            ],
            "config": [
                (key.removeprefix("."), "null" if value is None else str(value))
                for key, value in flatten(config, "").items()
            ],
        }


def _told(value: Any) -> str:
    return "not there" if value is ABSENT else full_name(value)


def _failed(unit: Unit) -> dict[str, str]:
    record = f"cells/{unit.record}.json"
    return {
        "variant": unit.variant,
        "what": unit.what,
        "status": unit.status,
        "reason": unit.reason,
        "record": record,
        "record_link": f"../{quote(record)}",
        "log": unit.log,
        "log_link": f"../{quote(unit.log)}",
    }


def _environments(analysis: Analysis) -> Iterator[tuple[str, int, list[tuple[str, str]]]]:
    """Name, number of records, and facts of each machine and software."""
    names = [unit.environment for unit in analysis.results.units]
    for name, known in environments(analysis.results).items():
        facts = [(key[1:], str(value)) for key, value in flatten(known, "").items()]
        yield name, names.count(name), facts


def _embedded(frame_csv: str) -> str:
    """A link with the frame in it, compressed; empty where it would be too long."""
    packed = gzip.compress(frame_csv.encode("utf-8", "replace"), mtime=0)
    link = f"data:application/gzip;base64,{base64.b64encode(packed).decode()}"
    return link if len(link) <= MAX_EMBEDDED else ""
