from __future__ import annotations

from typing import Any

import numpy as np

from bench.report.analysis import analyse
from bench.report.figures.style import Drawing, Empty, style
from bench.report.figures.throughput import draw


def test_throughput_is_that_of_every_batch_size(results: Any) -> None:
    for name, more in (("base", 4000.0), ("other", 3000.0)):
        results.add(name, [0.5, 0.6], step_ms=(10, 9, 11))
        results.also_timed(256, more)
    with style():
        drawing = draw(analyse(results.write()))
    assert isinstance(drawing, Drawing)
    (ax,) = drawing.figure.axes
    lines = {line.get_label(): np.asarray(line.get_xydata()).tolist() for line in ax.lines}
    assert lines == {
        "base": [[64, 1000], [256, 4000]],
        "other": [[64, 1000], [256, 3000]],
    }


def test_throughput_at_one_batch_size_is_in_the_table(results: Any) -> None:
    results.add("base", [0.5, 0.6], step_ms=(10, 9, 11))
    with style():
        drawing = draw(analyse(results.write()))
    assert isinstance(drawing, Empty)
    assert drawing.reason == "a training step was timed at fewer than two batch sizes"
