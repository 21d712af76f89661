"""What the figures of a search show, read from the axes and not from pixels."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

from bench.report.figures import SEARCH_FIGURES
from bench.report.figures.search_front import front_line
from bench.report.figures.search_history import best_so_far
from bench.report.figures.search_parallel import COLOURS, MOST_SETTINGS, MOST_TRIALS, panel_of
from bench.report.figures.style import (
    BLUE,
    INK,
    LINE,
    ORANGE,
    PAPER,
    Drawing,
    Empty,
    style,
    to_png,
    to_svg,
)
from bench.report.search import SearchRecord, Trial, read_search
from tests.bench.report.searches import ONE, arm, several, trial, write_search

SCORE, STEP, PARAMS = ("val.score", "maximize"), ("step_ms", "minimize"), ("params", "minimize")


def read(folder: Path, search: Any) -> SearchRecord:
    found = read_search(write_search(folder, search))
    assert isinstance(found, SearchRecord)
    return found


def drawn(search: SearchRecord, name: str) -> Drawing:
    with style():
        drawing = SEARCH_FIGURES[name](search)
        assert isinstance(drawing, Drawing)
        drawing.figure.draw_without_rendering()
    return drawing


def panels(drawing: Drawing) -> list[Axes]:
    return [ax for ax in drawing.figure.axes if ax.get_visible()]


def points(ax: Axes, label: str) -> list[Any]:
    """Places of the marks of a kind, or of the corners of a line; pairs of floats."""
    lines = [line for line in ax.lines if line.get_label() == label]
    return [(float(x), float(y)) for line in lines for x, y in np.asarray(line.get_xydata())]


@pytest.fixture
def one(tmp_path: Path) -> SearchRecord:
    """One objective, trials of every kind."""
    return read(tmp_path, ONE)


def test_every_trial_is_in_the_history_as_what_it_is(one: SearchRecord) -> None:
    hard, cross = panels(drawn(one, "search_history"))
    assert [ax.get_title(loc="left") for ax in (hard, cross)] == [
        *("hard-tuned", "cross_stitch-tuned"),
    ]
    kinds = ("complete", "infeasible", "pruned", "failed", "running")
    found = {kind: sorted(int(x) for x, _ in points(hard, kind)) for kind in kinds}
    assert found == {
        "complete": [0, 1, 6],
        "infeasible": [2],
        "pruned": [3, 4],
        "failed": [5],
        "running": [7],
    }
    assert points(hard, "complete") == [(0, 50), (1, 40), (6, pytest.approx(60))]
    assert points(hard, "chosen") == [(6, pytest.approx(60))]
    looks = {
        (line.get_marker(), line.get_markerfacecolor())
        for line in hard.lines
        if line.get_label() in kinds
    }
    assert len(looks) == len(kinds)
    assert points(cross, "complete") == [(0, pytest.approx(20)), (1, pytest.approx(70))]


def test_trials_without_a_value_stand_at_the_foot_below_all_values(one: SearchRecord) -> None:
    hard = panels(drawn(one, "search_history"))[0]
    for line in hard.lines:
        if line.get_label() in ("failed", "running"):
            assert line.get_transform() == hard.get_xaxis_transform()
    foot = hard.transData.inverted().transform(hard.transAxes.transform((0, 0.06)))[1]
    assert foot < 20  # the lowest value of the figure


@pytest.mark.parametrize(("maximize", "best"), [(True, [2, 2, 3, 3]), (False, [2, 1, 1, 0.5])])
def test_the_best_so_far_goes_one_way_and_leaves_out_what_does_not_count(
    maximize: bool, best: Sequence[float]
) -> None:
    def made(number: int, value: float, **more: Any) -> Trial:
        fields: dict[str, Any] = {"state": "complete", "feasible": True} | more
        return Trial(number=number, values=(value,), params={}, **fields)

    better = 99.0 if maximize else -99.0
    trials = [
        *(made(9, 0.5), made(0, 2.0), made(3, 1.0), made(5, 3.0), made(6, math.nan)),
        *(made(1, better, feasible=False), made(2, better, state="pruned")),
    ]
    line = best_so_far(trials, maximize=maximize)
    assert line == list(zip([0, 3, 5, 9], best, strict=True))


def test_the_line_of_the_history_lasts_to_the_last_trial(one: SearchRecord) -> None:
    hard = panels(drawn(one, "search_history"))[0]
    line = points(hard, "best so far")
    assert line[0] == (0, 50)
    assert line[-1] == (7, pytest.approx(60))
    heights = [y for _, y in line]
    assert heights == sorted(heights)


def test_values_far_apart_go_on_a_log_scale_that_is_told(tmp_path: Path) -> None:
    search = read(tmp_path, several(("val.height.rmse", "minimize"), values=[[0.1], [300], [2]]))
    drawing = drawn(search, "search_history")
    (ax,) = panels(drawing)
    assert ax.get_yscale() == "log"
    assert "log scale" in cast(Any, drawing.figure)._supylabel.get_text()
    texts = [label.get_text() for label in ax.get_yticklabels()]
    assert {"0.1", "1", "10"} <= set(texts)
    assert not any("$" in text for text in texts)
    assert [y for _, y in points(ax, "best so far")][-1] == 0.1


def of_trials(ax: Axes) -> dict[str, Line2D]:
    found = {str(line.get_label()): line for line in ax.lines}
    return {name: line for name, line in found.items() if name.startswith("trial ")}


def test_a_line_for_every_complete_trial_and_gaps_where_it_lacks_a_setting(
    one: SearchRecord,
) -> None:
    hard, cross = panels(drawn(one, "search_parallel"))
    lines = of_trials(hard)
    assert set(lines) == {"trial 0", "trial 1", "trial 2", "trial 6"}
    # Axes: learning rate (log), fusion, heads, score.
    places = {name: np.asarray(line.get_ydata()).tolist() for name, line in lines.items()}
    assert places["trial 0"] == pytest.approx([0.5, 0, math.nan, 0.2], nan_ok=True)
    assert places["trial 1"] == pytest.approx([1, 0, math.nan, 0], nan_ok=True)
    assert places["trial 6"] == pytest.approx([math.log10(20) / 2, 1, 0.5, 0.4], nan_ok=True)
    assert set(of_trials(cross)) == {"trial 0", "trial 1"}
    assert np.asarray(of_trials(cross)["trial 1"].get_ydata()).tolist() == [1, 1]
    styles = {name for name, line in lines.items() if line.get_linestyle() == "--"}
    assert styles == {"trial 2"}  # infeasible


def test_only_the_settings_of_an_arm_have_axes_with_their_choices_as_ticks(
    one: SearchRecord,
) -> None:
    hard, cross = panels(drawn(one, "search_parallel"))
    texts = [text.get_text() for text in hard.texts]
    for told in ("optimizer.lr", "fusion", "fusion.heads", "val.score, %", "concat", "0.0001"):
        assert told in [text.replace("\n", "") for text in texts]
    assert "gated (bias true)"[:5] in " ".join(texts)
    assert "model.width" not in texts
    assert {text.get_text() for text in cross.texts} >= {"model.width", "16", "64"}
    assert "fusion" not in {text.get_text() for text in cross.texts}


def test_better_trials_are_bluer_in_either_direction(tmp_path: Path) -> None:
    for way, best in (("maximize", 2), ("minimize", 0)):
        search = read(tmp_path, several(("params", way), values=[[1.0], [2.0], [3.0]]))
        (ax,) = panels(drawn(search, "search_parallel"))
        blue = {name: cast(Any, line.get_color())[2] for name, line in of_trials(ax).items()}
        assert max(blue, key=lambda name: blue[name]) == f"trial {best}"
        assert panel_of(search.studies[0], search).trials[-1].number == best


def test_a_page_on_a_dark_screen_changes_no_colour_of_the_scale() -> None:
    shades = {to_hex(COLOURS(x / 1000)) for x in range(1001)}
    assert not shades & {BLUE, ORANGE, INK, LINE, PAPER}


def test_of_many_settings_the_most_important_and_of_many_trials_the_best(tmp_path: Path) -> None:
    names = [f"model.part{i}" for i in range(9)]
    trials = [trial(i, [i / 999]) for i in range(MOST_TRIALS + 50)]
    for i, made in enumerate(trials):
        made["params"] = dict.fromkeys(names, float(i))
    importance = {names[i]: i / 36 for i in range(9)}
    search = read(tmp_path, {**ONE, "arms": [arm("a", trials, 0, [], importance)]})
    panel = panel_of(search.studies[0], search)
    assert [one.name for one in panel.settings] == names[-MOST_SETTINGS:]
    assert min(trial.number for trial in panel.trials) == 50
    caption = drawn(search, "search_parallel").caption
    assert f"at most the {MOST_SETTINGS} most important" in caption
    assert f"at most the best {MOST_TRIALS}" in caption


def test_importance_is_a_bar_a_setting_the_longest_first(one: SearchRecord) -> None:
    drawing = drawn(one, "search_importance")
    (ax,) = panels(drawing)
    assert [bar.get_width() for bar in ax.patches] == [0.8, 0.2]  # type: ignore[attr-defined]
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == ["train.optimizer.lr", "fusion"]
    assert "Too few trials to say: cross_stitch-tuned." in drawing.caption


def test_the_front_is_joined_in_the_order_of_the_other_objective(tmp_path: Path) -> None:
    given = several(SCORE, STEP, values=[[0.5, 3], [0.7, 9], [0.3, 1], [0.4, 4], [0.6, 5]])
    given["arms"][0] |= {"front": [4, 1, 0, 2], "chosen": 4}
    given["arms"][0]["trials"] += [trial(5, [0.9, 0.5], feasible=False)]
    given["constraints"] = [{"name": "step_ms", "max": 8}]
    search = read(tmp_path, given)
    assert [t.number for t in front_line(search.studies[0], 1)] == [2, 0, 4, 1]
    (ax,) = panels(drawn(search, "search_front"))
    steps = [line for line in ax.lines if line.get_drawstyle() == "steps-post"]
    expected = np.array([[1, 30], [3, 50], [5, 60], [9, 70]])
    assert np.asarray(steps[0].get_xydata()) == pytest.approx(expected)
    assert points(ax, "on the front") == [tuple(map(pytest.approx, row)) for row in expected]
    assert points(ax, "dominated") == [(4, 40)]
    assert points(ax, "infeasible") == [(0.5, 90)]
    assert points(ax, "chosen") == [(5, 60)]
    assert points(ax, "limit") == [(8, 0), (8, 1)]


def test_a_front_of_two_that_are_maximised_steps_the_other_way(tmp_path: Path) -> None:
    given = several(SCORE, ("samples_per_s", "maximize"), values=[[0.5, 30], [0.7, 9]])
    given["arms"][0]["front"] = [0, 1]
    (ax,) = panels(drawn(read(tmp_path, given), "search_front"))
    assert [line.get_drawstyle() for line in ax.lines if line.get_linestyle() != "None"] == [
        "steps-pre"
    ]


def test_more_objectives_are_pairs_with_the_first_and_no_line_joins_them(tmp_path: Path) -> None:
    given = several(SCORE, STEP, PARAMS, values=[[0.5, 3, 10], [0.7, 9, 9000], [0.3, 1, 40]])
    given["arms"] = [{**given["arms"][0], "front": [0, 1, 2], "label": str(i)} for i in range(2)]
    drawing = drawn(read(tmp_path, given), "search_front")
    axes = panels(drawing)
    assert len(axes) == 4
    assert points(axes[2], "on the front") == [(1, 30), (3, 50), (9, pytest.approx(70))]
    assert points(axes[3], "on the front")[-1] == (9000, pytest.approx(70))
    assert axes[3].get_xscale() == axes[1].get_xscale() == "log"
    assert [ax.get_xlabel() for ax in axes[2:]] == ["step, ms", "params, log scale"]
    assert not any("steps" in line.get_drawstyle() for ax in axes for line in ax.lines)
    assert "front is that of all objectives" in drawing.caption


NONE = {**ONE, "arms": []}
UNFINISHED = {
    **ONE,
    "arms": [arm("a", [trial(0, None, "failed"), trial(1, None, "running")], None)],
}


@pytest.mark.parametrize("search", [NONE, UNFINISHED])
@pytest.mark.parametrize("name", SEARCH_FIGURES)
def test_a_search_without_a_value_has_reasons_in_place_of_figures(
    tmp_path: Path, name: str, search: Any
) -> None:
    with style():
        assert isinstance(SEARCH_FIGURES[name](read(tmp_path, search)), Empty)


def test_one_objective_has_no_front(one: SearchRecord) -> None:
    with style():
        drawing = SEARCH_FIGURES["search_front"](one)
    assert drawing == Empty(
        title="Pareto front of the search", reason="the search has one objective"
    )


def many(studies: int) -> dict[str, Any]:
    """Studies of two objectives with trials of every kind and long names."""
    made = several(SCORE, STEP, values=[[0.5, 3], [0.7, 9], [0.3, 1]])
    trials = [
        {**one, "values": one["values"] and [*one["values"], 2.0]}
        for one in ONE["arms"][0]["trials"]
    ]
    names = [f"study number {i} of those with quite a long name" for i in range(studies)]
    made["constraints"] = [{"name": "val.score", "min": 0.4}, {"name": "step_ms", "max": 5}]
    made["arms"] = [arm(name, trials, 6, [6, 0], ONE["arms"][0]["importance"]) for name in names]
    return made


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("search_history", 12),
        ("search_parallel", 6),
        ("search_importance", 12),
        ("search_front", 12),
    ],
)
def test_of_many_studies_the_first_are_drawn_and_the_rest_told(
    tmp_path: Path, name: str, shown: int
) -> None:
    drawing = drawn(read(tmp_path, many(14)), name)
    assert f"The first {shown} of 14 studies." in drawing.caption
    if name != "search_importance":
        assert len(panels(drawing)) == shown


@pytest.mark.parametrize("studies", [1, 2, 7])
@pytest.mark.parametrize("name", SEARCH_FIGURES)
def test_labels_and_legend_are_inside_and_cover_no_panel(
    tmp_path: Path, name: str, studies: int
) -> None:
    drawing = drawn(read(tmp_path, many(studies)), name)
    figure = cast(Any, drawing.figure)
    with style():
        figure.draw_without_rendering()
        boxes = [ax.get_tightbbox() for ax in panels(drawing)]
        below = [legend.get_window_extent() for legend in figure.legends]
        if figure._supxlabel is not None:
            below.append(figure._supxlabel.get_window_extent())
    for box in [*boxes, *below]:
        assert box.x0 >= figure.bbox.x0 - 1
        assert box.x1 <= figure.bbox.x1 + 1
        assert box.y0 >= figure.bbox.y0 - 1
        assert box.y1 <= figure.bbox.y1 + 1
    for i, box in enumerate(below):
        assert not any(box.overlaps(other) for other in [*boxes, *below[:i]])


ODD_SPACES = [
    {"log": False, "low": 2, "high": 2},
    {"log": True, "low": -1, "high": 1},
    {"log": True, "low": 9, "high": 1},
    {"log": False, "low": -1e100, "high": 1e100},
    {"log": True, "low": 5e-324, "high": 1e100},
    {"choices": []},
]


EXTREMES = [[1e100, -1e100], [0.0, 0.0], [5e-324, 1e100]]


def odd_search(values: Sequence[float], space: Any) -> dict[str, Any]:
    made = several(("params", "minimize"), STEP, values=[[x, x] for x in values])
    for one in made["arms"][0]["trials"]:
        one["params"] = {"x": 1.0, "": '"{', "...": "no json"}
    made["arms"][0] |= {"front": [0, 1, 77], "importance": {"x": -1e100, "": 1e100}}
    return {**made, "space": [{"name": "x", **space}] if space else []}


@pytest.mark.parametrize("name", SEARCH_FIGURES)
@pytest.mark.parametrize("values", EXTREMES)
def test_extreme_values_stop_no_figure(tmp_path: Path, name: str, values: Sequence[float]) -> None:
    drawing = drawn(read(tmp_path, odd_search(values, None)), name)
    with style():
        assert to_svg(drawing.figure)


@pytest.mark.parametrize("space", ODD_SPACES, ids=str)
@pytest.mark.parametrize("values", EXTREMES)
def test_odd_spaces_stop_no_figure(tmp_path: Path, space: Any, values: Sequence[float]) -> None:
    drawing = drawn(read(tmp_path, odd_search(values, space)), "search_parallel")
    assert len(of_trials(panels(drawing)[0])) == 2


@pytest.mark.parametrize("write", [to_svg, to_png])
@pytest.mark.parametrize("name", SEARCH_FIGURES)
def test_a_figure_drawn_twice_is_the_same_file(
    tmp_path: Path, name: str, write: Callable[[Any], bytes]
) -> None:
    files = []
    for _ in range(2):
        with style():
            drawing = SEARCH_FIGURES[name](read(tmp_path, many(2)))
            assert isinstance(drawing, Drawing)
            files.append(write(drawing.figure))
    assert files[0] == files[1]


def test_a_choice_is_told_as_in_the_suite(tmp_path: Path) -> None:
    given = copy.deepcopy(ONE)
    texts = [json.dumps(choice) for choice in (True, None, ["a", "b"], 3, "plain")]
    given["space"] = [{"name": "fusion", "choices": texts}]
    given["arms"] = [arm("a", [trial(i, [i / 9], fusion=x) for i, x in enumerate(texts)], 0)]
    (ax,) = panels(drawn(read(tmp_path, given), "search_parallel"))
    told = [text.get_text() for text in ax.texts]
    assert {"true", "null", "a+b", "3", "plain"} <= set(told)
