from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.io import wavfile

from bench.cli import main
from mtmm.data import DATASETS
from mtmm.data.table import build, describe
from mtmm.spec import Batch, Modality, Task, in_memory
from tests.tables import INPUTS, TASKS, what_is_wrong, write_table


@pytest.fixture(scope="module")
def table(file: Path) -> pd.DataFrame:
    return pd.read_csv(file)


@dataclass(frozen=True)
class Made:
    """A data set with all of its parts in memory."""

    tasks: tuple[Task, ...]
    modalities: tuple[Modality, ...]
    train: Batch
    val: Batch
    test: Batch
    fingerprint: str


def make(**settings: Any) -> Made:
    made = build(**settings)
    train, val, test = (in_memory(part) for part in (made.train, made.val, made.test))
    return Made(made.tasks, made.modalities, train, val, test, made.fingerprint)


@pytest.fixture(scope="module")
def made(file: Path) -> Made:
    return make(file=str(file), inputs=INPUTS, tasks=TASKS, split={"column": "part"})


def test_splits_are_those_of_the_column(made: Made, table: pd.DataFrame) -> None:
    for part in ("train", "val", "test"):
        assert len(getattr(made, part)) == (table["part"] == part).sum()
    assert made.tasks[0] == Task(name="script", kind="classification", classes=3)


def test_labels_and_what_is_missing(made: Made, table: pd.DataFrame) -> None:
    of_test = table[table["part"] == "test"]
    scripts = sorted(table["script"].dropna().unique())
    known = of_test["script"].notna().to_numpy(copy=True)
    assert made.test.labelled["script"].tolist() == known.tolist()
    told = made.test.targets["script"][known].tolist()
    assert [scripts[i] for i in told] == of_test["script"][known].tolist()
    assert made.test.labelled["height"].tolist() == of_test["height"].notna().tolist()
    assert made.test.present["photo"].tolist() == of_test["photo"].notna().tolist()
    assert made.test.present["note"].tolist() == of_test["note"].notna().tolist()
    height = table["height"][table["part"] == "train"]
    assert made.tasks[1].offset == pytest.approx(height.mean())
    assert made.tasks[1].scale == pytest.approx(height.std(ddof=0))


def test_numbers_are_standardised_over_train(made: Made, table: pd.DataFrame) -> None:
    x = made.train.inputs["measures"]
    of_train = table[table["part"] == "train"]
    width, ink = of_train["width"].to_numpy(), of_train["ink"].to_numpy()
    assert torch.allclose(x[:, 0], torch.tensor((width - width.mean()) / width.std()).float())
    missing = np.isnan(ink)
    assert missing.any()
    assert (x[missing, 1] == 0).all()  # the mean
    known = torch.tensor(((ink - np.nanmean(ink)) / np.nanstd(ink))[~missing]).float()
    assert torch.allclose(x[~missing, 1], known, atol=1e-5)
    assert made.train.present["measures"].all()


def test_images_are_those_of_the_files(made: Made, table: pd.DataFrame, file: Path) -> None:
    rows = table[(table["part"] == "train") & table["photo"].notna()]
    there = made.train.present["photo"]
    x = made.train.inputs["photo"]
    pixels = np.stack(
        [
            np.array(Image.open(file.parent / path).resize((24, 24), Image.Resampling.BILINEAR))
            for path in rows["photo"]
        ]
    ).astype(np.float64)
    expected = (pixels - pixels.mean()) / pixels.std()
    assert np.allclose(x[there][:, 0].numpy(), expected, atol=1e-4)
    assert (x[~there] == 0).all()


def test_texts_are_words_of_train_most_frequent_first(made: Made, table: pd.DataFrame) -> None:
    ids = made.train.inputs["note"]
    (note,) = (m for m in made.modalities if m.name == "note")
    assert note.vocabulary is not None
    words = table["note"][table["part"] == "train"].fillna("").str.lower()
    tokens = [text.replace("-", " - ").split() for text in words]
    counts = Counter(word for row in tokens for word in row)
    assert note.vocabulary == 2 + len(counts)
    rank = {
        word: i for i, (word, _) in enumerate(sorted(counts.items(), key=lambda w: (-w[1], w[0])))
    }
    for row, of_row in zip(ids.tolist(), tokens, strict=True):
        told = [2 + rank[word] for word in of_row[:5]]
        assert row == told + [0] * (5 - len(told))
    assert made.test.inputs["note"].max() < note.vocabulary
    assert (ids[~made.train.present["note"]] == 0).all()


def test_a_word_that_train_has_not_is_unknown(tmp_path: Path) -> None:
    file = write_table(
        tmp_path,
        text=["a b", "a c!", "a d", "a Ω"],
        y=["u", "v", "u", "v"],
        part=["train", "train", "val", "test"],
    )
    made = make(
        file=file,
        inputs={"t": {"kind": "text", "column": "text", "length": 4}},
        tasks={"y": {"kind": "classification", "column": "y"}},
        split={"column": "part"},
    )
    assert made.train.inputs["t"].tolist() == [[2, 4, 0, 0], [2, 5, 3, 0]]
    assert made.test.inputs["t"].tolist() == [[2, 1, 0, 0]]


def test_sounds_are_log_mel_spectra(tmp_path: Path) -> None:
    rate = 8000
    time = np.arange(rate // 2) / rate
    for hertz in (300, 600, 1200, 2400):
        tone = (0.5 * 32767 * np.sin(2 * np.pi * hertz * time)).astype(np.int16)
        wavfile.write(tmp_path / f"{hertz}.wav", rate, np.stack([tone, tone], axis=1))
    file = write_table(
        tmp_path,
        wav=["300.wav", "600.wav", "1200.wav", "2400.wav", None, "300.wav"],
        y=["a", "b", "a", "b", "a", "b"],
        part=["train", "train", "train", "train", "val", "test"],
    )
    made = make(
        file=file,
        inputs={"s": {"kind": "audio", "column": "wav", "seconds": 0.5, "bands": 32}},
        tasks={"y": {"kind": "classification", "column": "y"}},
        split={"column": "part"},
    )
    x = made.train.inputs["s"]
    assert x.shape == (4, 1, 32, 51)
    loudest = x[:, 0, :, 10:40].mean(2).argmax(1)
    mel = 2595 * np.log10(1 + np.array([300, 600, 1200, 2400]) / 700)
    top = 2595 * np.log10(1 + 8000 / 700)  # of 16 kHz, to which they are resampled
    assert np.abs(loudest.numpy() - (33 * mel / top - 1)).max() < 1
    assert float(x.mean()) == pytest.approx(0, abs=1e-4)
    assert float(x.std()) == pytest.approx(1, abs=1e-2)
    assert not made.val.present["s"].any()
    assert torch.equal(made.test.inputs["s"][0], x[0])


def test_kinds_of_tasks(tmp_path: Path) -> None:
    file = write_table(
        tmp_path,
        x=[1, 2, 3, 4, 5, 6],
        grade=["mid", "low", "high", None, "mid", "low"],
        size=["10", "9", "2", "9", "2", "10"],
        cat=[1, 0, None, 1, 0, 1],
        dog=["yes", "no", None, "no", "No", "yes"],
        part=["train", "train", "train", "train", "val", "test"],
    )
    made = make(
        file=file,
        inputs={"x": {"kind": "vector", "columns": ["x"]}},
        tasks={
            "grade": {"kind": "ordinal", "column": "grade", "order": ["low", "mid", "high"]},
            "size": {"kind": "ordinal", "column": "size"},
            "animals": {"kind": "multilabel", "columns": ["cat", "dog"]},
        },
        split={"column": "part"},
    )
    assert [task.classes for task in made.tasks] == [3, 3, 2]
    assert made.train.targets["grade"].tolist() == [1, 0, 2, -1]
    assert made.train.labelled["grade"].tolist() == [True, True, True, False]
    assert made.train.targets["size"].tolist() == [2, 1, 0, 1]  # numbers by size, not by letter
    assert made.train.targets["animals"].tolist() == [[1, 1], [0, 0], [-1, -1], [1, 0]]
    assert made.train.labelled["animals"].tolist() == [True, True, False, True]
    assert made.val.targets["animals"].tolist() == [[0, 0]]


GROUPED: dict[str, Any] = {
    "inputs": {"x": {"kind": "vector", "columns": ["x"]}},
    "tasks": {
        "y": {"kind": "classification", "column": "y"},
        "g": {"kind": "regression", "column": "g"},
    },
}


def test_a_group_is_in_one_part_only(tmp_path: Path) -> None:
    rows = list(range(200))
    file = write_table(tmp_path, x=rows, g=[i % 40 for i in rows], y=[i % 2 for i in rows])
    made = make(file=file, **GROUPED, split={"group": "g", "fractions": [0.6, 0.2, 0.2]})
    parts = [made.train, made.val, made.test]
    assert [len(part) for part in parts] == [120, 40, 40]
    train, val, test = (set(part.targets["g"].tolist()) for part in parts)
    assert len(train | val | test) == len(train) + len(val) + len(test) == 40
    other = describe(file=file, **GROUPED, split={"group": "g", "seed": 1})
    assert other.fingerprint != made.fingerprint


def test_the_split_is_that_of_the_seed(tmp_path: Path) -> None:
    file = write_table(tmp_path, x=list(range(50)), g=list(range(50)), y=[i % 2 for i in range(50)])
    first, again, other = (make(file=file, **GROUPED, split={"seed": s}) for s in (0, 0, 1))
    assert torch.equal(first.test.targets["g"], again.test.targets["g"])
    assert not torch.equal(first.test.targets["g"], other.test.targets["g"])


def test_another_cell_is_another_data_set(tmp_path: Path) -> None:
    rows = list(range(50))
    file = write_table(tmp_path, x=rows, g=rows, y=[i % 2 for i in rows])
    before = describe(file=file, **GROUPED).fingerprint
    write_table(tmp_path, x=[7, *rows[1:]], g=rows, y=[i % 2 for i in rows])
    assert describe(file=file, **GROUPED).fingerprint != before


def test_a_suite_without_a_line_of_python(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "mine.yaml"
    suite.write_text(
        f"""name: mine
dataset:
  name: table
  file: {file}
  inputs:
    photo: {{kind: image, column: photo, size: 24, channels: 1}}
    note: {{kind: text, column: note, length: 6}}
  tasks:
    script: {{kind: classification, column: script}}
    height: {{kind: regression, column: height}}
model: {{encoders: {{photo: lenet, note: bag}}, width: 16}}
train: {{epochs: 2, batch_size: 32}}
sweep: [{{sharing: [hard, separate]}}]
seeds: 2
timing: off
"""
    )
    assert main(["run", str(suite), "--results", str(tmp_path / "results"), "-q"]) == 0
    page = (tmp_path / "results" / "mine" / "report.html").read_text(encoding="utf-8")
    assert "height" in page
    out = capsys.readouterr().out
    assert "hard" in out
    assert re.search(r"height\s+script", out)


def test_parquet_and_tab_separated_files_are_the_same_data(file: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'mtmm-bench[parquet]'")
    frame = pd.read_csv(file)
    frame["photo"] = [
        None if isinstance(p, float) else str(file.parent / p) for p in frame["photo"]
    ]
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    settings: dict[str, Any] = {"inputs": INPUTS, "tasks": TASKS, "split": {"column": "part"}}
    parquet, tabs = (
        make(file=str(tmp_path / f"t.{end}"), **settings) for end in ("parquet", "tsv")
    )
    for first, second in ((parquet.train, tabs.train), (parquet.test, tabs.test)):
        for part in ("inputs", "present", "targets", "labelled"):
            for name, x in getattr(first, part).items():
                torch.testing.assert_close(x, getattr(second, part)[name], equal_nan=True)


def test_texts_in_the_tokens_of_a_file(file: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="needs mtmm-bench[text]")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(unk_token="?"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    trainer = tokenizers.trainers.WordLevelTrainer(special_tokens=["?"])
    made.train_from_iterator(["LATIN CAPITAL LETTER A"], trainer)
    made.save(str(file.parent / "tokens.json"))
    note = {"kind": "text", "column": "note", "length": 4, "tokenizer": "tokens.json"}
    data = make(file=str(file), inputs={"note": note}, tasks=TASKS, split={"column": "part"})
    ids = [1 + made.token_to_id(word) for word in ("LATIN", "CAPITAL", "LETTER", "A")]
    assert data.train.inputs["note"][0].tolist() == ids
    assert (data.train.inputs["note"] == 1).any()  # unknown words; 0 is padding
    assert data.modalities[0].vocabulary == 6
    known = DATASETS["table"].legend(file=str(file), inputs={"note": note}, tasks=TASKS)
    assert [known.words["note"][i] for i in ids] == ["LATIN", "CAPITAL", "LETTER", "A"]
    other = what_is_wrong(
        str(file), inputs={"note": {**note, "tokenizer": "gone.json"}}, tasks=TASKS
    )
    assert "gone.json cannot be read" in other
