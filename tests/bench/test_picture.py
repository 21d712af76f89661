from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from matplotlib import image
from matplotlib.figure import Figure
from PIL import Image

from bench.cli import main
from bench.picture import _figure, label
from bench.report.figures.style import style
from mtmm.spec import Batch, DataBundle, Legend, Modality, Task
from tests.tables import INPUTS, TASKS, write_glyphs

ODD = "\x1b[31m$x^2$\n<b>"


@pytest.fixture
def odd() -> DataBundle:
    """Four samples of every kind of input and task; the second has nothing."""
    torch.manual_seed(0)
    shapes = {
        "colour": (3, 6, 6),
        "sound": (1, 4, 9),
        "short": (3,),
        "long": (40,),
        "deep": (5, 4, 4),
    }
    kinds = {
        "colour": "image",
        "sound": "audio",
        "short": "vector",
        "long": "vector",
        "deep": "cube",
    }
    modalities = [Modality(name=n, kind=kinds[n], shape=shape) for n, shape in shapes.items()]
    modalities.append(Modality(name=ODD, kind="text", shape=(80,), vocabulary=9))
    tasks = (
        Task(name=ODD, kind="classification", classes=2),
        Task(name="tags", kind="multilabel", classes=3),
        Task(name="size", kind="regression"),
        Task(name="mask", kind="segments", classes=2),
    )
    there = torch.tensor([True, False, True, True])
    inputs = {n: torch.randn(4, *shape) for n, shape in shapes.items()}
    split = Batch(
        inputs={**inputs, ODD: torch.randint(1, 9, (4, 80))},
        targets={
            ODD: torch.tensor([0, -1, 1, 1]),
            "tags": torch.tensor([[1, 0, 1], [-1, -1, -1], [0, 0, 0], [-1, 1, 0]]),
            "size": torch.tensor([1.5, torch.nan, 12345.678, -3.0]),
            "mask": torch.zeros(4, 6, 6, dtype=torch.long),
        },
        present={m.name: there for m in modalities},
        labelled={t.name: there for t in tasks},
    )
    return DataBundle(
        modalities=tuple(modalities),
        tasks=tasks,
        fingerprint="",
        train=split,
        val=split,
        test=split,
    )


def figure(bundle: DataBundle, legend: Legend) -> Figure:
    assert isinstance(bundle.train, Batch)
    with style():
        made = _figure(bundle, legend, bundle.train, range(4))
        made.savefig(io.BytesIO(), format="png")
    return made


def test_labels_in_words(odd: DataBundle) -> None:
    assert isinstance(odd.train, Batch)
    legend = Legend(classes={ODD: ("\x1b[2J", "yes"), "tags": ("cat", "dog", "cow")})
    told = {task.name: [label(task, odd.train, i, legend) for i in range(4)] for task in odd.tasks}
    assert told[ODD] == ["[2J", "–", "yes", "yes"]
    assert told["tags"] == ["cat, cow", "–", "none", "dog"]
    assert told["size"] == ["1.5", "–", "1.235e+04", "-3"]
    assert told["mask"] == ["6 × 6 numbers", "–", "6 × 6 numbers", "6 × 6 numbers"]


def test_every_kind_is_drawn_and_what_is_absent_is_told(odd: DataBundle) -> None:
    made = figure(odd, Legend())
    rows = np.array(made.axes, dtype=object).reshape(4, 8)
    drawn = [
        [sum(isinstance(c, image.AxesImage) for c in axes.get_children()) for axes in row]
        for row in rows
    ]
    assert drawn == [[0, 1, 1, 1, 1, 1, 0, 0], [0] * 8, *[[0, 1, 1, 1, 1, 1, 0, 0]] * 2]
    texts = [[" ".join(t.get_text() for t in axes.texts) for axes in row] for row in rows]
    assert texts[1][1:7] == ["absent"] * 6
    assert texts[1][7].count(": –") == 4
    every = "".join(t.get_text() for axes in made.axes for t in [*axes.texts, axes._left_title])  # type: ignore[attr-defined]
    assert [c for c in every if not c.isprintable() and c != "\n"] == []


def test_the_command_draws_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_glyphs(tmp_path, 150)
    suite = {
        "name": "s",
        "dataset": {"name": "table", "file": str(file), "inputs": INPUTS, "tasks": TASKS},
        "model": {"encoders": {"photo": "lenet", "note": "bag"}, "width": 8},
    }
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(suite))
    picture = tmp_path / "new" / "items.png"
    arguments = ["check", "--data", str(tmp_path / "s.yaml")]
    assert main(arguments) == 0
    assert not picture.exists()
    capsys.readouterr()
    assert main([*arguments, "--picture", str(picture)]) == 0
    out = capsys.readouterr().out
    assert out.endswith(f"samples of train: {picture}\n")
    assert " (greek) to " in out
    with Image.open(picture) as drawn:
        assert drawn.format == "PNG"
        assert min(drawn.size) > 600
        assert len(set(drawn.convert("L").tobytes())) > 50


def test_a_picture_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--picture", "x.png", "--plugin", "docs/examples/short.py"]) == 2
    assert "--picture goes with --data SUITE" in capsys.readouterr().err
    suite = tmp_path / "s.yaml"
    suite.write_text("name: s\ndataset: {name: interactions, train: 50, val: 20, test: 20}\n")
    arguments = ["check", "--data", str(suite), "--picture"]
    assert main([*arguments, str(suite / "x.png")]) == 2
    assert "x.png: cannot be written" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*arguments, "x.jpg"])
    assert "must end in .png; found 'x.jpg'" in capsys.readouterr().err
