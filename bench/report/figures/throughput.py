"""Throughput against batch size."""

from __future__ import annotations

from matplotlib.figure import Figure

from bench.report.analysis import Analysis
from bench.report.figures.style import INK, WIDTH, Drawing, Empty, short

TITLE = "Throughput against batch size"
MOST_VARIANTS = 12


def draw(analysis: Analysis) -> Drawing | Empty:
    """A line a variant: samples per second of a training step at every batch size timed."""
    frame = analysis.results.frame
    if "samples_per_s" not in frame:
        return Empty(title=TITLE, reason="nothing was timed")
    timed = frame[(frame["kind"] == "time") & (frame["status"] == "ok")]
    timed = timed[timed["time.mode"] == "train"]
    if timed["time.batch_size"].nunique() < 2:
        return Empty(title=TITLE, reason="a training step was timed at fewer than two batch sizes")
    wide = timed.pivot_table(
        index="time.batch_size", columns="variant", values="samples_per_s", sort=False
    ).sort_index()
    baseline = analysis.manifest["baseline"]
    shown = _shown([str(name) for name in wide.columns], baseline)
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    ax = figure.subplots()
    for name in shown:
        own = name == baseline
        ax.plot(
            wide.index,
            wide[name],
            marker="D" if own else "o",
            markersize=5,
            color=INK if own else None,
            linewidth=2 if own else 1.2,
            label=short(name),
        )
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks(list(wide.index), [f"{size:.0f}" for size in wide.index])
    ax.minorticks_off()
    ax.set_xlabel("batch size", color=INK)
    ax.set_ylabel("samples/s")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
    left = (
        f" The first {len(shown)} of {wide.shape[1]} variants."
        if len(shown) < wide.shape[1]
        else ""
    )
    caption = (
        "Samples over the wall time of the timed training steps, data on the device. Each batch "
        f"size is a timing block of its own; the baseline is bold.{left}"
    )
    return Drawing(title=TITLE, caption=caption, figure=figure)


def _shown(names: list[str], baseline: str) -> list[str]:
    """The first variants, with the baseline among them."""
    first = [name for name in names if name != baseline][: MOST_VARIANTS - 1]
    return [name for name in names if name in first or name == baseline]
