"""The report of a suite as files, out of its records alone."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.compare import Comparison
from bench.errors import InputError
from bench.report import FORMATS
from bench.report.analysis import Analysis, analyse, compared
from bench.report.files import write_file
from bench.report.frame import load_results
from bench.report.index import write_index, write_summary
from bench.report.latex import to_latex
from bench.report.parts import part_notes, profile_columns
from bench.report.robustness import NOTES, robustness_columns
from bench.report.search import FILE as SEARCH_FILE
from bench.report.search import SearchRecord
from bench.report.table import code, github, markdown, to_csv, to_markdown
from bench.report.tables import full_tables, printed_tables

if TYPE_CHECKING:
    from bench.report.figures.style import Drawing, Empty
    from bench.report.page import Picture

_TABLES = {
    *("accuracy", "single_task", "cost", "robustness", "parts", "ratios", "memory", "kinds"),
    *("quality", "tasks", "effects", "ablations"),
}

Files = Iterator[tuple[str, str | bytes]]
"""Paths in the suite's folder, and contents."""


def load_comparison(folder: str | Path) -> Comparison:
    """The comparison of a suite's variants with its baseline."""
    return compared(load_results(folder))


def write_report(folder: str | Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write the report of a suite into its folder; the paths of the files.

    `md`: `report.md`. `csv`: `comparison.csv`, `frame.csv` and `tables/*.csv`. `latex`:
    `tables/*.tex`. `html`: `report.html` and `figures/`. Always: `summary.json`, and `index.html`
    in the folder above. The same records give the same bytes. Raises InputError where there are
    no results, or where they cannot be written.
    """
    return write_analysis(analyse(folder), formats)


def write_analysis(analysis: Analysis, formats: Sequence[str] = FORMATS) -> list[Path]:
    """As `write_report`, of results that are worked out already."""
    folder, written = analysis.results.folder, []
    try:
        for name in (name for name in FORMATS if name in formats):  # the page links to the rest
            for path, content in _WRITERS[name](analysis):
                write_file(folder / path, content)
                written.append(folder / path)
        written.append(write_summary(analysis))
        written.append(write_index(folder.parent))
    except OSError as error:
        raise InputError(f"{folder}: the report cannot be written: {error}") from None
    return written


def _markdown(analysis: Analysis) -> Files:
    manifest = analysis.manifest
    lines = [f"# {markdown(manifest['suite'])}", "", markdown(manifest["question"]), ""]
    lines += [*(markdown(sentence) for sentence in analysis.verdict), ""]
    lines += [to_markdown(analysis.comparison)]
    less = robustness_columns(analysis.robustness)
    if less:
        lines += [github(less), "", *(f"- {markdown(note)}" for note in NOTES), ""]
    profiles = analysis.results.profiles
    for columns in profile_columns(analysis.parts, profiles):
        lines += [github(columns), ""] if columns else []
    lines += [*(f"- {markdown(note)}" for note in part_notes(profiles)), ""] if profiles else []
    if analysis.skips:
        told = [f"{skip['variant']}: {skip['reason']}" for skip in analysis.skips]
        lines += ["Skipped:", "", *(f"- {markdown(text)}" for text in told), ""]
    if analysis.failed:
        lines += ["Not finished:", ""]
        for unit in analysis.failed:
            text = f"{unit.variant}, {unit.what}: {unit.status}: {unit.reason}"
            files = [f"cells/{unit.record}.json", *([unit.log] if unit.log else [])]
            lines.append(f"- {markdown(text)} ({', '.join(map(code, files))})")
        lines.append("")
    if analysis.missing:
        lines += [f"Units that have not run yet: {analysis.missing}.", ""]
    lines += [f"Made by {code(manifest['command'])}.", ""]
    yield "report.md", "\n".join(lines)


def _csv(analysis: Analysis) -> Files:
    yield "comparison.csv", to_csv(analysis.comparison)
    yield "frame.csv", analysis.frame_csv
    tables = full_tables(analysis)
    _remove(analysis, "tables", _TABLES - set(tables), "csv")
    for name, table in tables.items():
        yield f"tables/{name}.csv", table.to_csv(index=False, lineterminator="\n")


def _latex(analysis: Analysis) -> Files:
    tables = printed_tables(analysis)
    _remove(analysis, "tables", _TABLES - set(tables), "tex")
    for name, columns in tables.items():
        yield f"tables/{name}.tex", to_latex(columns)


def _html(analysis: Analysis) -> Files:
    # Matplotlib takes half a second to load: only where something is drawn.
    from bench.report.figures import FIGURES, SEARCH_FIGURES
    from bench.report.figures.style import style
    from bench.report.page import page

    pictures, of_search, search = [], [], analysis.search
    with style():
        for name, draw in FIGURES.items():
            pictures.append((yield from _figure(analysis, name, draw(analysis))))
        if isinstance(search, SearchRecord):
            for name, draw_search in SEARCH_FIGURES.items():
                of_search.append((yield from _figure(analysis, name, draw_search(search))))
        else:
            _remove(analysis, "figures", SEARCH_FIGURES, "svg", "png")
    files = list(_beside(analysis.results.folder))
    yield "report.html", page(analysis, pictures, of_search, files, analysis.frame_csv)


def _figure(
    analysis: Analysis, name: str, drawn: Drawing | Empty
) -> Generator[tuple[str, bytes], None, Picture]:
    """The files of a figure; what the page shows of it."""
    from bench.report.figures.style import Empty, to_png, to_svg
    from bench.report.page import no_picture, picture

    if isinstance(drawn, Empty):
        _remove(analysis, "figures", [name], "svg", "png")
        return no_picture(name, drawn)
    svg = to_svg(drawn.figure)
    yield f"figures/{name}.svg", svg
    yield f"figures/{name}.png", to_png(drawn.figure)
    return picture(name, drawn.title, drawn.caption, svg)


def _remove(analysis: Analysis, folder: str, names: Iterable[str], *endings: str) -> None:
    """Take away what an earlier report has written and this one has nothing to show for."""
    for name in names:
        for ending in endings:
            path = analysis.results.folder / folder / f"{name}.{ending}"
            path.unlink(missing_ok=True)


def _beside(folder: Path) -> Iterator[str]:
    """What of a report lies in the folder, this one's or an earlier one's."""
    names = ("report.md", "comparison.csv", "frame.csv", SEARCH_FILE)
    yield from (name for name in names if (folder / name).exists())
    for pattern in ("tables/*.csv", "tables/*.tex", "figures/*.svg", "figures/*.png"):
        yield from (str(path.relative_to(folder)) for path in sorted(folder.glob(pattern)))


_WRITERS: dict[str, Callable[[Analysis], Files]] = {
    "md": _markdown,
    "csv": _csv,
    "latex": _latex,
    "html": _html,
}
