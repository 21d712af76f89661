"""Wrong suites: exit code 2 and one message, word for word.

`bad_suites.txt` holds them: `=== name`, the suite (`...` stands for the lines of `GOOD`), `>>>`,
and everything that is printed.
"""

from __future__ import annotations

import re
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
TEXT = Path(__file__).with_name("bad_suites.txt").read_text(encoding="utf-8")
CASES = {
    name: (f"{suite}\n".replace("...\n", GOOD, 1), message)
    for name, suite, message in re.findall(
        r"^=== (.*?)\n(.*?)\n>>>\n(.*?)(?=^===|\Z)", TEXT, re.DOTALL | re.MULTILINE
    )
}


def test_there_are_as_many_as_the_file_holds() -> None:
    assert len(CASES) == TEXT.count("=== ") == TEXT.count(">>>") >= 100


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_suite(
    case: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    suite, message = CASES[case]
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text(suite, encoding="utf-8")
    assert main(["run", "bad.yaml"]) == 2
    assert capsys.readouterr() == ("", message.rstrip("\n") + "\n")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--set", "train.epochs=0"], "--set train.epochs=0: train.epochs: `epochs` of train must"),
        (["--set", "fusion=conact"], "--set fusion=conact: fusion: unknown fusion 'conact'; did"),
        (["--set", "epochs=3"], "--set epochs=3: epochs: unknown setting 'epochs'"),
        (["--set", "train.epochs"], "--set train.epochs: must be path=value, such as"),
        (["--set", "train.epochs=[1"], "--set train.epochs=[1: cannot be read as YAML: "),
        (["--set", "tasks.x=1"], "--set tasks.x=1: tasks.x: nothing can be set inside 'tasks'"),
        (["--set", "timing.budget_s=0"], "--set timing.budget_s=0: timing.budget_s: `budget_s` of"),
        (["--seeds", "0"], "--seeds 0: seeds: must be a whole number at least 1"),
    ],
)
def test_a_wrong_setting_of_the_command_line(
    option: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "good.yaml"
    file.write_text(GOOD)
    assert main(["plan", str(file), *option]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_characters_that_a_terminal_would_act_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.yaml").write_text(GOOD + 'seeds: 1\n"\\e[31m\\n": 1\n')
    assert main(["plan", str(tmp_path / "bad.yaml")]) == 2
    assert ":7: \\x1b[31m\\n: unknown key '\\x1b[31m\\n' (there" in capsys.readouterr().err


def test_depth_and_control_characters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "deep.yaml").write_text("a: " + "[" * 10_000 + "\n")
    assert main(["run", str(tmp_path / "deep.yaml")]) == 2
    assert "deep.yaml:1: nested deeper than 32 levels" in capsys.readouterr().err
    (tmp_path / "control.yaml").write_text(GOOD + "question: \x00\n")
    assert main(["run", str(tmp_path / "control.yaml")]) == 2
    assert "control.yaml:6: not a text file: character U+0000" in capsys.readouterr().err


def test_too_many_combinations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    axes = f"{{train.epochs: {[1] * 200}, train.batch_size: {[1] * 200}}}"
    (tmp_path / "bad.yaml").write_text(GOOD + f"sweep: [{axes}]\n")
    assert main(["plan", str(tmp_path / "bad.yaml")]) == 2
    assert "sweep: at most 20,000 combinations; found 40,000" in capsys.readouterr().err


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
