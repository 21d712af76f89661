"""Wrong suites: exit code 2, one message with file, line, what was found and the nearest name."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli import main

GOOD = """\
name: small
dataset: {name: glyphs, limit: 300}
tasks: [script, slant]
model: {encoders: {image: lenet, text: lstm}}
train: {epochs: 1}
"""

# What is changed in GOOD (or the whole file), the line told, and what the message must hold.
CASES = {
    "unknown key": (GOOD + "swep: []\n", 6, ["unknown key 'swep'", "did you mean 'sweep'?"]),
    "unknown fusion": (
        GOOD + "fusion: conact\n",
        6,
        ["fusion: unknown fusion 'conact'", "did you mean 'concat'?", "gated"],
    ),
    "unknown in a sweep": (
        GOOD + "sweep:\n  - {fusion: [concat, gatd]}\n",
        7,
        ["sweep[0].fusion[1]: unknown fusion 'gatd'", "did you mean 'gated'?"],
    ),
    "unknown setting": (
        GOOD.replace("image: lenet", "image: {name: lenet, chanels: 4}"),
        4,
        ["unknown setting 'chanels' of encoder 'lenet'", "did you mean 'channels'?"],
    ),
    "unknown dataset": (
        GOOD.replace("glyphs", "glyps"),
        2,
        ["unknown dataset 'glyps'; did you mean 'glyphs'?"],
    ),
    "unknown train key": (
        GOOD.replace("epochs", "epoch"),
        5,
        ["unknown setting 'epoch' of train; did you mean 'epochs'?"],
    ),
    "unknown optimizer": (
        GOOD.replace("epochs: 1", "optimizer: adamm"),
        5,
        ["unknown optimizer 'adamm'"],
    ),
    "word for a number": (
        GOOD.replace("epochs: 1", "epochs: many"),
        5,
        ["`epochs` of train must be a whole number; found the word 'many'"],
    ),
    "quoted number": (GOOD.replace("epochs: 1", "epochs: '1'"), 5, ["found the word '1'"]),
    "fraction": (GOOD.replace("epochs: 1", "epochs: 1.5"), 5, ["found the number 1.5"]),
    "negative": (GOOD.replace("epochs: 1", "epochs: -1"), 5, ["at least 1"]),
    "boolean": (GOOD.replace("epochs: 1", "epochs: true"), 5, ["found true"]),
    "nan": (GOOD.replace("epochs: 1", "optimizer: {name: sgd, lr: .nan}"), 5, ["must be finite"]),
    "inf": (GOOD.replace("epochs: 1", "optimizer: {name: sgd, lr: .inf}"), 5, ["must be finite"]),
    "huge": (
        GOOD.replace("epochs: 1", "optimizer: {name: sgd, lr: 1" + "0" * 400 + "}"),
        5,
        ["a whole number of this size does not fit into 64 bits"],
    ),
    "width": (GOOD.replace("lstm}}", "lstm}, width: 0}"), 4, ["`width`", "at least 1"]),
    "unknown task": (
        GOOD.replace("slant", "slont"),
        3,
        ["tasks[1]: unknown task 'slont'; did you mean 'slant'?"],
    ),
    "no task": (GOOD.replace("[script, slant]", "[]"), 3, ["tasks: must be a list of one or more"]),
    "unknown modality": (GOOD + "modalities: [imag]\n", 6, ["did you mean 'image'?"]),
    "text encoder on an image": (
        GOOD.replace("image: lenet", "image: lstm"),
        4,
        ["encoder 'lstm' does not read image", "lenet"],
    ),
    "missing encoder": (
        GOOD.replace("image: lenet, ", ""),
        4,
        ["no encoder for modality 'image'", "lenet"],
    ),
    "encoder of no modality": (
        GOOD.replace("image: lenet", "image: lenet, audio: lenet"),
        4,
        ["unknown modality 'audio'"],
    ),
    "empty axis": (
        GOOD + "sweep: [{fusion: []}]\n",
        6,
        ["an axis is a list of one or more values"],
    ),
    "axis that is no list": (GOOD + "sweep: [{fusion: sum}]\n", 6, ["found the word 'sum'"]),
    "sweep that is no list": (GOOD + "sweep: {fusion: [sum]}\n", 6, ["must be a list of blocks"]),
    "unknown axis": (GOOD + "sweep: [{fuson: [sum]}]\n", 6, ["did you mean 'fusion'?"]),
    "axis twice": (
        GOOD + "sweep: [{fusion: [sum], model.fusion: [concat]}]\n",
        6,
        ["'model.fusion' is swept twice"],
    ),
    "baseline of no variant": (
        GOOD + "sweep: [{fusion: [concat, gated]}]\nbaseline: {fusion: sum}\n",
        7,
        ["baseline: the base with these settings is none of the planned variants"],
    ),
    "name with a slash": (GOOD.replace("small", "../small"), 1, ["a suite needs `name`"]),
    "name with dots": (GOOD.replace("small", "a..b"), 1, ["no '..'"]),
    "reserved name": (GOOD.replace("small", "cells"), 1, ["'cells' is a folder of the results"]),
    "no name": (GOOD.replace("name: small\n", ""), 1, ["a suite needs `name`"]),
    "wrong number of weights": (
        GOOD + "weighting: {name: static, weights: [1, 2, 3]}\n",
        6,
        ["`weights` needs one number for each of the 2 tasks; found 3"],
    ),
    "no seeds": (GOOD + "seeds: 0\n", 6, ["at least 1", "the number of seeds, or a list"]),
    "a seed twice": (GOOD + "seeds: [1, 1]\n", 6, ["none twice"]),
    "unknown mode": (GOOD + "timing: {modes: [trian]}\n", 6, ["one of train, inference"]),
    "short and long": (
        GOOD.replace("lstm}}", "lstm}, fusion: sum}") + "fusion: concat\n",
        6,
        ["'fusion' is here and under `model`"],
    ),
    "duplicate key": (
        GOOD + "seeds: 1\nseeds: 2\n",
        7,
        ["key 'seeds' is here twice (first in line 6)"],
    ),
    "tag": (GOOD + "seeds: !!python/object/apply:os.system ['touch owned']\n", 6, ["tags are not"]),
    "alias": (GOOD + "sweep: [&a {fusion: [sum]}, *a]\n", 6, ["anchors and aliases"]),
    "tab": (GOOD + "timing:\n\tmodes: [train]\n", 7, ["cannot be read as YAML"]),
    "unclosed": (GOOD + "sweep: [{fusion: [sum\n", 7, ["cannot be read as YAML"]),
    "two documents": (GOOD + "---\nname: b\n", 7, ["one YAML document"]),
    "a list": ("- name: small\n", 1, ["a suite is a mapping"]),
    "empty": ("", 1, ["a suite is a mapping", "found null"]),
    "deep": ("a: " + "[" * 10_000 + "\n", 1, ["nested deeper than 32 levels"]),
    "control character": (GOOD + "question: \x00\n", 6, ["not a text file"]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_suite(
    case: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text, line, parts = CASES[case]
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text(text, encoding="utf-8")
    assert main(["run", "bad.yaml"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert err.startswith(f"bad.yaml:{line}: ")
    for part in parts:
        assert part in err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


# What is added to GOOD, and every line of the message, word for word.
GOLDEN = {
    "setting of a value in the base": (
        "sweep: [{train.epochs.x: [1]}]\n",
        "bad.yaml:6: sweep[0].train.epochs.x[0]: nothing can be set inside 'train.epochs'; "
        "it is the whole number 1\n",
    ),
    "setting of a list in the base": (
        "modalities: [image]\nbaseline: {modalities.x: 1}\n",
        "bad.yaml:7: baseline.modalities.x: nothing can be set inside 'modalities'; "
        "it is the list ['image']\n",
    ),
    "swept setting of a swept component": (
        "sweep: [{weighting: [static], weighting.weights: [[1, 2], [1, -1]]}]\n",
        "bad.yaml:6: sweep[0].weighting.weights[1]: `weights` of weighting 'static': item 1 must "
        "be a number at least 0; found the number -1.0\n",
    ),
    "too many combinations": (
        f"sweep: [{{train.epochs: {[1] * 200}, train.batch_size: {[1] * 200}}}]\n",
        "bad.yaml:6: sweep: at most 10,000 combinations; found 40,000\n",
    ),
    "no component": (
        "train.x: 1\nweighting: null\n",
        "bad.yaml:6: train.x: unknown key 'train.x'; did you mean 'train'? (there are: name, "
        "question, dataset, modalities, tasks, model, weighting, train, encoders, fusion, sharing, "
        "sweep, seeds, baseline, timing)\n"
        "bad.yaml:7: weighting: must be the name of a weighting or a mapping with `name`; "
        "found null\n",
    ),
    "shape and meaning": (
        "fusion: conact\nseeds: 0\n",
        "bad.yaml:6: fusion: unknown fusion 'conact'; did you mean 'concat'? "
        "(there are: concat, gated, none, sum)\n"
        "bad.yaml:7: seeds: must be a whole number at least 1 and at most 1000; "
        "found the whole number 0 (the number of seeds, or a list of seeds)\n",
    ),
    "seed twice": (
        "seeds: [1, 2, 1]\n",
        "bad.yaml:6: seeds: must name at least one seed, and none twice; "
        "found the list [1, 2, 1]\n",
    ),
    "batch sizes": (
        "timing: {batch_sizes: [], modes: [train, train]}\n",
        "bad.yaml:6: timing.batch_sizes: must name one or more, and none twice; "
        "found the list []\n"
        "bad.yaml:6: timing.modes: must name one or more, and none twice; "
        "found the list ['train', 'train']\n",
    ),
    "control characters": (
        'seeds: 1\n"\\e[31m\\n": 1\n',
        "bad.yaml:7: \\x1b[31m\\n: unknown key '\\x1b[31m\\n' (there are: name, question, dataset, "
        "modalities, tasks, model, weighting, train, encoders, fusion, sharing, sweep, seeds, "
        "baseline, timing)\n",
    ),
    "optimizer without a name": (
        "baseline: {train.optimizer: {lr: 1}}\n",
        "bad.yaml:6: baseline.train.optimizer: an optimizer needs `name`, one of: "
        "adam, adamw, sgd\n",
    ),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_a_message_word_for_word(
    case: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    added, message = GOLDEN[case]
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text(GOOD + added, encoding="utf-8")
    assert main(["run", "bad.yaml"]) == 2
    assert capsys.readouterr() == ("", message)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


def test_all_mistakes_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(GOOD.replace("epochs: 1", "epochs: 0, batch_size: x") + "fusion: su\n")
    assert main(["plan", str(file)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1] for line in lines] == ["5", "5", "6"]


def test_a_meaningless_combination_in_a_sweep_is_skipped_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "suite.yaml"
    file.write_text(
        GOOD + "sweep: [{tasks: [[script], [script, slant]], "
        "weighting: [equal, {name: static, weights: [1, 2]}]}]\n"
    )
    assert main(["plan", str(file)]) == 0
    assert "skipped: script-static: `weights` needs one number" in capsys.readouterr().out


def test_a_missing_file_names_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "default.yaml").write_text(GOOD)
    assert main(["run", str(tmp_path / "defualt.yaml")]) == 2
    err = capsys.readouterr().err
    assert "cannot be read: No such file or directory; did you mean 'default.yaml'?" in err


def test_binary_and_enormous_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"a: 1\n\xff\xfe\x00")
    assert main(["run", str(tmp_path / "binary.yaml")]) == 2
    assert "binary.yaml:2: not a text file: byte 0xff is not UTF-8" in capsys.readouterr().err
    (tmp_path / "large.yaml").write_text("a" * 10_000_000)
    assert main(["run", str(tmp_path / "large.yaml")]) == 2
    assert "at most 1,000,000 characters" in capsys.readouterr().err
