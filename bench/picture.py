"""A few samples of a data set as a picture: what models will see, and what they are to say."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from bench.errors import InputError
from bench.lines import one_line
from bench.report.columns import MISSING
from bench.report.figures.style import short, style, to_png
from bench.report.files import write_file
from mtmm.spec import Batch, DataBundle, Legend, Modality, Task

MOST_ITEMS = 8
MOST_TASKS = 12
MOST_NUMBERS = 6
"""Numbers of a vector that are written into its strip."""

MOST_LETTERS, MOST_LINES, MOST_OF_A_LABEL = 36, 6, 48
_LINE, _HEIGHT, _WIDTH = 0.17, 0.95, {"number": 0.45, "picture": 1.15, "strip": 2.3, "words": 2.6}
"""Inches of a line of text, a row at least, and columns."""


def draw(bundle: DataBundle, legend: Legend, file: Path) -> None:
    """Write a PNG with eight samples of train, evenly spread, a row each.

    Raises InputError where the file cannot be written.
    """
    rows = torch.linspace(0, len(bundle.train) - 1, min(MOST_ITEMS, len(bundle.train))).long()
    batch = bundle.train.take(rows)
    with style():
        content = to_png(_figure(bundle, legend, batch, rows.tolist()))
    try:
        write_file(file, content)
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror}") from None


def _figure(bundle: DataBundle, legend: Legend, batch: Batch, rows: Sequence[int]) -> Figure:
    tasks = bundle.tasks[:MOST_TASKS]
    kinds = ["number", *map(_kind, bundle.modalities), "words"]
    widths = [_WIDTH[kind] for kind in kinds]
    height = max(_HEIGHT, _LINE * (len(tasks) + 2))
    figure = Figure(figsize=(sum(widths), 0.4 + height * len(rows)), layout="constrained")
    grid: Any = figure.subplots(
        len(rows), len(kinds), squeeze=False, gridspec_kw={"width_ratios": widths}
    )
    for axes in grid.flat:
        axes.set_axis_off()
    for i, row in enumerate(rows):
        _write(grid[i, 0], str(row))
        told = [f"{short(task.name)}: {label(task, batch, i, legend)}" for task in tasks]
        if len(bundle.tasks) > MOST_TASKS:
            told.append(f"and {len(bundle.tasks) - MOST_TASKS} more")
        _write(grid[i, -1], "\n".join(map(_cut, told)))
    for column, modality in enumerate(bundle.modalities, start=1):
        _fill(grid[:, column], modality, batch, legend)
    titles = ["train", *(short(modality.name) for modality in bundle.modalities), "labels"]
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title("\n".join(textwrap.wrap(title, 14)), loc="left", weight="bold")
    return figure


def _kind(modality: Modality) -> str:
    if modality.vocabulary is not None:
        return "words"
    return "picture" if len(modality.shape) >= 2 else "strip"


def _fill(cells: Sequence[Any], modality: Modality, batch: Batch, legend: Legend) -> None:
    """The column of an input, all of its numbers on one scale."""
    x, there = batch.inputs[modality.name], batch.present[modality.name]
    known = x[there].float()
    low, high = (float(known.min()), float(known.max())) if known.numel() else (0.0, 1.0)
    for axes, value, present in zip(cells, x, there.tolist(), strict=True):
        if not present:
            _write(axes, "absent", color="#888888", style="italic")
        elif modality.vocabulary is not None:
            _write(axes, text(modality, value, legend))
        elif _kind(modality) == "picture":
            _picture(axes, modality, value, low, high)
        else:
            _strip(axes, value.flatten().float(), max(-low, high))


def text(modality: Modality, ids: Tensor, legend: Legend) -> str:
    """The words of token ids, or the ids where no word is known, in a few lines."""
    words = legend.words.get(modality.name)
    tokens = [int(i) for i in ids.flatten() if int(i) != modality.pad_id]
    told = " ".join(one_line(words[i]) if words else str(i) for i in tokens)
    lines = textwrap.wrap(told, MOST_LETTERS, break_on_hyphens=False)
    return "\n".join(lines[:MOST_LINES]) + (" …" if len(lines) > MOST_LINES else "")


def label(task: Task, batch: Batch, row: int, legend: Legend) -> str:
    """What a sample is labelled with: classes by name where it is known, numbers."""
    if not batch.labelled[task.name][row]:
        return MISSING
    target, names = batch.targets[task.name][row], legend.classes.get(task.name)
    if task.kind == "multilabel":
        has = [i for i, flag in enumerate(target.tolist()) if flag == 1]
        return ", ".join(one_line(names[i]) if names else str(i) for i in has) or "none"
    if target.dim():
        return f"{' × '.join(map(str, target.shape))} numbers"
    if target.is_floating_point():
        return f"{float(target):.4g}"
    return one_line(names[int(target)]) if names else str(int(target))


def _cut(line: str) -> str:
    return line if len(line) <= MOST_OF_A_LABEL else f"{line[: MOST_OF_A_LABEL - 1]}…"


def _write(axes: Any, words: str, **look: str) -> None:
    axes.text(0, 0.5, words, va="center", transform=axes.transAxes, fontsize=8, **look)


def _picture(axes: Any, modality: Modality, value: Tensor, low: float, high: float) -> None:
    pixels = ((value.float() - low) / (high - low or 1)).clamp(0, 1)
    sound = modality.kind == "audio"
    axes.set_anchor("W")
    if pixels.dim() == 3 and len(pixels) == 3:
        axes.imshow(pixels.permute(1, 2, 0).numpy())
        return
    axes.imshow(
        pixels.flatten(0, -3)[0].numpy() if pixels.dim() > 2 else pixels.numpy(),
        cmap="magma" if sound else "gray",
        vmin=0,
        vmax=1,
        origin="lower" if sound else "upper",  # low tones below
        aspect="auto" if sound else "equal",
    )


def _strip(axes: Any, value: Tensor, largest: float) -> None:
    limit = largest or 1.0
    axes.imshow(
        np.asarray(value)[None], cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", alpha=0.7
    )
    axes.set_ylim(1.5, -1.5)
    if len(value) <= MOST_NUMBERS:
        for place, number in enumerate(value.tolist()):
            axes.text(place, 0, f"{number:.2f}", ha="center", va="center", fontsize=8)
