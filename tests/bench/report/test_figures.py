"""What is drawn is what the comparison says, read from the axes and not from pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.text import Text
from numpy.typing import NDArray

from bench.report.analysis import Analysis, analyse
from bench.report.figures import FIGURES, cost, effects, tasks
from bench.report.figures.curves import curve_of
from bench.report.figures.style import Drawing, Empty, best_of, short, style, to_png, to_svg
from bench.report.pareto import costed, on_front
from bench.statistics import mean_interval

LR, FUSION = "train.optimizer.lr", "model.fusion"


def drawn(analysis: Analysis, name: str) -> list[Axes]:
    with style():
        drawing = FIGURES[name](analysis)
    assert isinstance(drawing, Drawing)
    return list(drawing.figure.axes)


@pytest.fixture
def timed(results: Any) -> Analysis:
    """A baseline, one dearer and better, one dearer and worse (dominated), one failed."""
    results.add("base", [0.50, 0.51, 0.52], step_ms=(10, 9, 11), varied=[LR])
    results.add("good", [0.70, 0.71, 0.73], step_ms=(20, 19, 22), config={LR: 1}, varied=[LR])
    results.add("bad", [0.10, 0.12, 0.11], step_ms=(30, 29, 31), config={LR: 2}, varied=[LR])
    results.add("gone", ["no"] * 3, step_ms=(15, 14, 16), config={LR: 3}, varied=[LR])
    return analyse(results.write())


def test_points_intervals_and_front_are_those_of_the_comparison(timed: Analysis) -> None:
    (ax,) = drawn(timed, "cost")
    table = costed(timed.comparison).set_index("variant")
    front = on_front(table).to_dict()
    assert front == {"base": True, "good": True, "bad": False}
    found = {}
    for container in ax.containers:
        assert isinstance(container, ErrorbarContainer)
        points, _, (across, up) = container.lines
        for (x, y), h, v in zip(
            np.asarray(points.get_xydata()), across.get_segments(), up.get_segments(), strict=True
        ):
            found[x] = (y, h[:, 0].tolist(), v[:, 1].tolist(), points)
    assert len(found) == 3
    for name, row in table.iterrows():
        y, across, up, points = found[row["step_ms"]]
        assert y == pytest.approx(100 * row["score"])
        assert across == pytest.approx([row["step_lo_ms"], row["step_hi_ms"]])
        assert up == pytest.approx([100 * row["score_lo"], 100 * row["score_hi"]])
        filled = points.get_markerfacecolor() == points.get_color()
        assert filled == front[name]
    markers = {points.get_marker() for *_, points in found.values()}
    assert markers == {"D", "o", "s"}  # told apart without colour
    assert {text.get_text() for text in ax.texts} == {"base", "good", "bad"}
    line = ax.lines[0]
    assert np.asarray(line.get_xydata()) == pytest.approx(np.array([[10, 51], [20, 71.33333]]))


def test_the_caption_states_the_rule_and_what_is_left_out(timed: Analysis) -> None:
    with style():
        drawing = cost.draw(timed)
    assert isinstance(drawing, Drawing)
    assert "score interval lies wholly above" in drawing.caption
    assert "On the front: 2 of 3." in drawing.caption
    assert "Left out: 1 without a finished seed" in drawing.caption


def test_names_beside_points_do_not_cover_each_other(results: Any) -> None:
    for i in range(12):
        results.add(
            f"variant-number-{i}", [0.5 + i / 999, 0.5], step_ms=(10 + i / 99, 9, 11), varied=[LR]
        )
    (ax,) = drawn(analyse(results.write()), "cost")
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in ax.texts]  # without the lines to them
    assert len(boxes) == 12
    overlaps = [
        (i, j) for i in range(12) for j in range(i) if boxes[i].padded(-1).overlaps(boxes[j])
    ]
    assert overlaps == []


def test_the_heat_map_shows_metrics_differences_and_where_they_stand(results: Any) -> None:
    results.add("base", [{"script": 0.5, "slant": 0.8}, {"script": 0.6, "slant": 0.8}])
    results.add("more", [{"script": 0.7, "slant": 0.8}, {"script": 0.9, "slant": 0.7}])
    results.add("fewer", [{"script": 0.4}, {"script": 0.45}], config={"tasks": ["script"]})
    analysis = analyse(results.write())
    ax, bar = drawn(analysis, "tasks")
    (mesh,) = ax.collections
    differences = [0.2, 0.3]
    mean, lo, hi = mean_interval(differences)
    shown: NDArray[np.float64] = np.ma.filled(np.ma.asarray(mesh.get_array()), np.nan).reshape(3, 2)
    assert np.isnan(shown[0]).all()
    assert shown[1, 0] == pytest.approx(mean / ((hi - lo) / 2))
    assert shown[1, 1] < 0
    assert np.isnan(shown[2, 1])
    assert [text.get_text() for text in ax.texts] == [
        *("55.0 %", "80.0 %"),
        *("80.0 %\n+25.0", "75.0 %\n-5.0"),
        *("42.5 %\n-12.5", "–"),
    ]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["base", "more", "fewer"]
    assert "half-width" in bar.get_ylabel()


def test_the_colours_of_the_heat_map_rise_in_lightness() -> None:
    colours = matplotlib.colormaps[tasks.COLOURS](np.linspace(0, 1, 32))[:, :3]
    lightness = colours @ [0.299, 0.587, 0.114]
    assert (np.diff(lightness) > 0).all()


def test_effects_are_drawn_as_points_with_their_intervals(timed: Analysis) -> None:
    (ax,) = drawn(timed, "effects")
    table = effects.shown(timed.effects.table)
    bars, points = ax.lines[:-1:2], ax.lines[1:-1:2]
    assert len(points) == len(table) == 2
    for bar, point, (_, row) in zip(bars, points, table.iterrows(), strict=True):
        assert np.asarray(point.get_xdata()) == pytest.approx(100 * row["difference"])
        assert bar.get_xdata() == pytest.approx(
            [100 * row["difference_lo"], 100 * row["difference_hi"]]
        )
        apart = row["difference_lo"] > 0 or row["difference_hi"] < 0
        assert (point.get_markerfacecolor() == point.get_color()) == apart
    texts = [text.get_text() for text in ax.texts]
    assert f"{LR}, against 0.01" in texts
    assert texts.count("n = 3, 1 pair") == 2


def test_of_many_values_those_far_from_zero_are_drawn(results: Any) -> None:
    results.add("base", [0.5, 0.5], varied=[LR])
    for i in range(1, 20):
        results.add(f"v{i}", [0.5 + i / 100, 0.5], config={LR: i}, varied=[LR])
    analysis = analyse(results.write())
    shown = effects.shown(analysis.effects.table)
    assert list(shown["value"]) == [str(i) for i in range(8, 20)]
    with style():
        drawing = effects.draw(analysis)
    assert isinstance(drawing, Drawing)
    assert "12 of 19 values" in drawing.caption


def test_ablations_are_bars_with_intervals(results: Any) -> None:
    results.add("base", [0.5, 0.6, 0.55])
    results.add("no-text", [0.3, 0.5, 0.32], config={LR: 1}, varied=[LR], ablation=True)
    results.add("no-image", [0.6, 0.65, 0.62], config={LR: 2}, varied=[LR], ablation=True)
    analysis = analyse(results.write())
    (ax,) = drawn(analysis, "ablations")
    bars = [bar for one in ax.containers if isinstance(one, BarContainer) for bar in one]
    intervals = [one.lines[2][0] for one in ax.containers if isinstance(one, ErrorbarContainer)]
    rows = analysis.ablations.to_dict("records")
    assert len(bars) == len(intervals) == len(rows) == 2
    for bar, interval, row in zip(bars, intervals, rows, strict=True):
        assert bar.get_width() == pytest.approx(100 * row["difference"])
        ends = [100 * row["difference_lo"], 100 * row["difference_hi"]]
        assert interval.get_segments()[0][:, 0] == pytest.approx(ends)
    assert [bool(bar.get_hatch()) for bar in bars] == [True, False]
    assert [text.get_text() for text in ax.texts] == ["-17.7, n = 3", "+7.3, n = 3"]


def test_curves_are_means_and_bands_over_seeds(timed: Analysis) -> None:
    axes = drawn(timed, "curves")
    assert [ax.get_title(loc="left") for ax in axes if ax.get_visible()] == ["good", "bad"]
    base, own = axes[0].lines
    assert list(np.asarray(own.get_xdata())) == [1, 2]
    assert own.get_ydata() == pytest.approx([100 * np.mean([0.70, 0.71, 0.73]) / 2, 71.33333])
    assert np.asarray(base.get_ydata())[-1] == pytest.approx(51)
    assert base.get_linestyle() == "--"
    (band,) = axes[0].collections
    heights = np.asarray(band.get_paths()[0].vertices)[:, 1]
    hi = mean_interval([0.70, 0.71, 0.73]).hi
    assert (heights.max(), heights.min()) == pytest.approx(
        (100 * hi, 100 * mean_interval([0.35, 0.355, 0.365]).lo)
    )


def test_a_curve_goes_as_far_as_every_seed(timed: Analysis) -> None:
    curves = timed.results.curves
    run = curves[curves["variant"] == "good"]
    assert list(curve_of(run.iloc[:-1])["epoch"]) == [1]


def with_dynamics(results: Any, weights: list[float], cosines: list[float]) -> None:
    """Of the train records that are added from here on."""
    results.dynamics = [
        {
            "weights": {"script": weight, "slant": 1.0},
            "gradients": {
                "norms": {"script": 1.0, "slant": 1.0},
                "cosines": {"script": {"slant": cosine}},
                "conflict_rate": 0.25,
            },
        }
        for weight, cosine in zip(weights, cosines, strict=True)
    ]


@pytest.fixture
def moving(results: Any) -> Analysis:
    """Weights that stand still in one of two variants; gradients in both."""
    with_dynamics(results, [1.0, 1.0], [0.5, 0.7])
    results.add("still", [0.5, 0.6])
    with_dynamics(results, [1.0, 2.0, 9.0], [0.5, -0.5, 0.9])
    results.add("moves", [0.5])
    with_dynamics(results, [2.0, 4.0], [0.7, -0.7])
    results.add("other", [0.6])
    results.variants[1]["train"] += [{**results.variants.pop()["train"][0], "seed": 1}]
    return analyse(results.write())


def test_weights_that_move_are_means_as_far_as_every_seed_went(moving: Analysis) -> None:
    with style():
        drawing = FIGURES["weights"](moving)
    assert isinstance(drawing, Drawing)
    (ax,) = [ax for ax in drawing.figure.axes if ax.get_visible()]
    assert ax.get_title(loc="left") == "moves"
    script, slant = ax.lines
    assert np.asarray(script.get_xydata()) == pytest.approx(np.array([[1, 1.5], [2, 3]]))
    assert list(np.asarray(slant.get_ydata())) == [1, 1]
    (legend,) = drawing.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["script", "slant"]


def test_cosines_of_every_pair_with_the_share_in_conflict(moving: Analysis) -> None:
    still, moves = [ax for ax in drawn(moving, "gradients") if ax.get_visible()]
    assert still.get_title(loc="left") == "still\n25 % in conflict"
    pair, zero = moves.lines
    assert np.asarray(pair.get_ydata()) == pytest.approx([0.6, -0.6])
    assert list(np.asarray(zero.get_ydata())) == [0, 0]
    assert still.get_ylim() == moves.get_ylim()


def test_of_many_tasks_and_pairs_some_are_drawn_and_told_apart(results: Any) -> None:
    names = [f"t{i}" for i in range(12)]
    for_all = {"norms": dict.fromkeys(names, 1.0), "conflict_rate": 0.0}
    cosines = {"t0": {name: i / 12 for i, name in enumerate(names) if i}}
    results.dynamics = [
        {
            "weights": {name: float(epoch) for name in names},
            "gradients": {**for_all, "cosines": cosines},
        }
        for epoch in (1, 2)
    ]
    for i in range(13):
        results.add(f"v{i}", [0.5 + i / 100])
    analysis = analyse(results.write())
    for name, said in [
        ("weights", "The first 9 of 12 tasks."),
        ("gradients", "The 9 of 11 pairs with the lowest cosines."),
    ]:
        with style():
            drawing = FIGURES[name](analysis)
        assert isinstance(drawing, Drawing)
        assert said in drawing.caption
        assert "The 12 highest scores of 13 variants." in drawing.caption
        panels = [ax for ax in drawing.figure.axes if ax.get_visible()]
        assert [ax.get_title(loc="left").split("\n")[0] for ax in panels] == [
            f"v{i}" for i in range(1, 13)
        ]
        lines = panels[0].lines[:9]
        assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 9
        labels = [text.get_text() for text in drawing.figure.legends[0].get_texts()]
        first = 0 if name == "weights" else 1
        assert [label.split(", ")[-1] for label in labels] == names[first : first + 9]


def test_panels_labels_and_legend_cover_nothing(moving: Analysis) -> None:
    with style():
        for name in ("weights", "gradients"):
            drawing = FIGURES[name](moving)
            assert isinstance(drawing, Drawing)
            figure = drawing.figure
            figure.draw_without_rendering()
            panels = [ax.get_tightbbox() for ax in figure.axes if ax.get_visible()]
            below = [figure._supxlabel.get_window_extent(), figure.legends[0].get_window_extent()]  # type: ignore[attr-defined]
            for box in (*panels, *below):
                assert box is not None
                assert figure.bbox.y0 <= box.y0
                assert box.y1 <= figure.bbox.y1
            for box in below:
                assert not any(box.overlaps(panel) for panel in panels if panel is not None)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("cost", "no variant was timed beside the baseline"),
        ("tasks", "no train cell has finished"),
        ("effects", "no setting varies"),
        ("ablations", "the suite has none"),
        ("curves", "no variant has a score on val for more than one epoch"),
        ("weights", "no weights change from epoch to epoch"),
        ("gradients", "no gradients were compared (train.diagnostics)"),
        ("parts", "no variant was profiled (mtmm-bench profile does)"),
        ("kinds", "no variant was profiled (mtmm-bench profile does)"),
        ("memory", "no profile tells what its parts hold over a step"),
        ("throughput", "nothing was timed"),
    ],
)
def test_a_figure_without_anything_to_show_says_why(results: Any, name: str, reason: str) -> None:
    results.add("base", ["no", "no"])
    with style():
        drawing = FIGURES[name](analyse(results.write()))
    assert isinstance(drawing, Empty)
    assert drawing.reason == reason


@pytest.mark.parametrize("write", [to_svg, to_png])
@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_drawn_twice_is_the_same_file(
    hostile: Path, name: str, write: Callable[[Any], bytes]
) -> None:
    files = []
    for _ in range(2):
        with style():
            drawing = FIGURES[name](analyse(hostile))
            assert isinstance(drawing, Drawing)
            files.append(write(drawing.figure))
    assert files[0] == files[1]
    assert b"<dc:date>" not in files[0]


def test_the_best_rows_keep_their_order_and_the_baseline(timed: Analysis) -> None:
    table = timed.comparison.table
    assert list(best_of(table, 2, ["bad"])["variant"]) == ["good", "bad"]
    assert list(best_of(table, 9, ["bad"])["variant"]) == list(table["variant"])
    unscored = table.assign(score=[np.nan, np.nan, 0.5, np.nan])
    assert list(best_of(unscored, 2, [])["variant"]) == [table["variant"].iloc[i] for i in (0, 2)]


def test_long_names_lose_their_middle() -> None:
    assert short("a" * 44) == "a" * 44
    cut = short("start" + "x" * 90 + "end")
    assert len(cut) <= 44
    assert cut.startswith("start")
    assert cut.endswith("end")
