"""Figures of profiles, read from the axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from bench.report.analysis import Analysis, analyse
from bench.report.figures import FIGURES
from bench.report.figures.stacked import COLOURS
from bench.report.figures.style import Drawing, style
from bench.report.svg import inline

WORK = [("model", "forward", 3.0), ("model", "backward", 6.0)]


def drawn(analysis: Analysis, name: str) -> Drawing:
    with style():
        drawing = FIGURES[name](analysis)
    assert isinstance(drawing, Drawing)
    return drawing


def legend(figure: Figure) -> list[str]:
    (found,) = figure.legends
    return [text.get_text() for text in found.get_texts()]


@pytest.fixture
def profiled(results: Any) -> Analysis:
    """Two variants with profiles, the first of which was not timed, and one without."""
    work = [("encoders.a.x", "forward", 30.0), ("encoders.a.y", "forward", 10.0)]
    work += [("encoders.a.x", "backward", 40.0), ("optimizer", "optimizer", 20.0)]
    results.add("base", [0.5])
    results.profile(work)
    results.add("more", [0.6])
    results.profile([*work, ("fusion", "forward", 100.0)])
    results.add("none", [0.7])
    return analyse(results.write())


def test_parts_are_stacked_bars_forward_above_backward(profiled: Analysis) -> None:
    figure = drawn(profiled, "parts").figure
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["base", "more"]
    assert ax.yaxis_inverted()
    assert ax.get_xlabel() == "% of work"
    bars = [bar for one in ax.containers if isinstance(one, BarContainer) for bar in one]
    found = {
        (round(bar.get_y() + bar.get_height() / 2, 6), round(bar.get_x(), 6)): bar.get_width()
        for bar in bars
        if bar.get_width()
    }
    assert found == pytest.approx(
        {(-0.2, 0.0): 40, (0.2, 0.0): 40, (0.8, 0.0): 20, (0.8, 20.0): 50, (1.2, 0.0): 20}
    )
    assert legend(figure) == ["encoders.a", "fusion"]


@pytest.mark.parametrize("name", ["parts", "kinds"])
def test_of_many_profiled_variants_the_first_are_drawn(results: Any, name: str) -> None:
    for i in range(18):
        results.add(f"v{i}", [0.5])
        results.profile(WORK)
    drawing = drawn(analyse(results.write()), name)
    assert "The first 16 of 18 variants." in drawing.caption
    (ax,) = drawing.figure.axes
    assert len(ax.get_yticklabels()) == 16


def test_kinds_are_one_bar_a_variant_with_numbers_where_there_is_room(results: Any) -> None:
    results.add("base", [0.5])
    results.profile(WORK, kinds={"gemm": 0.70, "copy": 0.26, "norm": 0.04, "conv": 0.0})
    results.add("other", [0.6])
    results.profile(WORK, kinds={"gemm": 1.0, "copy": 0.0, "norm": 0.0, "conv": 0.0})
    figure = drawn(analyse(results.write()), "kinds").figure
    (ax,) = figure.axes
    bars = [list(one) for one in ax.containers if isinstance(one, BarContainer)]
    assert np.array([[bar.get_width() for bar in one] for one in bars]) == pytest.approx(
        np.array([[70, 100], [26, 0], [4, 0]])
    )
    assert [bar.get_x() for bar in (one[0] for one in bars)] == pytest.approx([0, 70, 96])
    assert [text.get_text() for text in ax.texts if text.get_text()] == ["70", "100", "26"]
    assert legend(figure) == ["matrix product (gemm)", "copy", "normalisation (norm)"]
    assert [label.get_fontweight() for label in ax.get_yticklabels()] == ["bold", "normal"]


def timeline(**parts: list[float]) -> dict[str, Any]:
    return {
        "ms": [0.0, 1.0, 4.0, 5.0],
        "parts": {name.replace("_", "."): mib for name, mib in parts.items()},
    }


def areas(ax: Axes) -> dict[str, list[tuple[float, float]]]:
    """By colour: where each area begins to have which height, in MiB."""
    found = {}
    for patch in ax.patches:
        assert isinstance(patch, StepPatch)
        values, edges, _ = patch.get_data()
        steps = zip(edges.tolist(), values.tolist(), strict=False)
        found[str(patch.get_facecolor())] = list(steps)
    return found


def test_memory_is_stacked_by_part_and_the_baseline_is_first(results: Any) -> None:
    results.add("other", [0.5])
    results.profile(WORK, memory_timeline=timeline(own=[0.0, 8.0, 8.0, 0.0]))
    results.add("base", [0.5])
    results.profile(
        WORK,
        memory_timeline=timeline(
            heads_a=[0.0, 0.0, 1.0, 0.0],
            encoders_x_1=[0.0, 2.0, 2.0, 0.0],
            encoders_x_2=[0.0, 0.0, 3.0, 1.0],
        ),
    )
    results.add("before", [0.5])
    results.profile(WORK)
    manifest = results.write() / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"baseline": "other"', '"baseline": "base"'))
    drawing = drawn(analyse(results.folder), "memory")
    base, other = drawing.figure.axes
    assert [ax.get_title(loc="left") for ax in (base, other)] == [
        "base\npeak 6.00 MiB",
        "other\npeak 8.00 MiB",
    ]
    assert legend(drawing.figure) == ["encoders.x", "own", "heads"]
    heads, encoder = areas(base).values()  # the topmost first, each down to 0
    assert encoder == [(0.0, 0.0), (1.0, 2.0), (4.0, 5.0)]
    assert heads == [(0.0, 0.0), (1.0, 2.0), (4.0, 6.0)]
    assert list(areas(other).values()) == [[(0.0, 0.0), (1.0, 8.0)]]  # nothing changes at 4 ms
    assert base.get_ylim() == other.get_ylim()
    assert "Left out" not in drawing.caption


def test_of_many_variants_six_are_drawn_and_the_others_named(results: Any) -> None:
    for i in range(8):
        results.add(f"v{i}", [0.5])
        results.profile(WORK, memory_timeline=timeline(model=[0.0, 1.0, 1.0, 0.0]))
    drawing = drawn(analyse(results.write()), "memory")
    panels = [ax for ax in drawing.figure.axes if ax.get_visible()]
    assert [ax.get_title(loc="left").split("\n")[0] for ax in panels] == [f"v{i}" for i in range(6)]
    assert "Left out: v6 and v7." in drawing.caption


@pytest.mark.parametrize("variants", [1, 2, 5])
@pytest.mark.parametrize("name", ["parts", "kinds", "memory"])
def test_the_legend_covers_nothing(results: Any, name: str, variants: int) -> None:
    for i in range(variants):
        results.add(f"variant-with-a-name-{i}", [0.5])
        parts = [f"encoders.{'of-something-with-a-name' * (j == 9)}{j}" for j in range(10)]
        held = {part: [0.0, 1.0, 1.0, 0.0] for part in parts}
        results.profile(
            [(part, "forward", 1.0) for part in parts], memory_timeline=timeline(**held)
        )
    figure = drawn(analyse(results.write()), name).figure
    figure.draw_without_rendering()
    below = figure.legends[0].get_window_extent()
    assert figure.bbox.y0 <= below.y0
    assert figure.bbox.x0 <= below.x0
    assert below.x1 <= figure.bbox.x1
    for ax in figure.axes:
        if ax.get_visible():
            box = ax.get_tightbbox()
            assert box is not None
            assert not box.overlaps(below)
            assert box.height > 0.3 * figure.bbox.height / max(1, (variants + 1) // 2)


def test_colours_stay_apart_on_dark_screens() -> None:
    pieces = "".join(f"<g fill='{colour}'/>" for colour in COLOURS)
    svg = f"<svg xmlns='http://www.w3.org/2000/svg'>{pieces}</svg>"
    assert "var(" not in inline(svg.encode(), "x", "x")
    assert len(set(COLOURS)) == len(COLOURS)
