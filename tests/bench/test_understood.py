from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from bench.cli import main
from bench.understood import understood
from mtmm.data.interactions import build as build_interactions
from mtmm.data.table import build
from mtmm.spec import Legend


@pytest.fixture
def file(tmp_path: Path) -> Path:
    random = np.random.RandomState(0)
    x = random.randn(120, 2).round(3)
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1]})
    frame["kind"] = np.where(x[:, 0] + 0.3 * random.randn(120) > 0, "up", "down")
    frame["size"] = (3 * x[:, 1] + 10 + 0.1 * random.randn(120)).round(3)
    frame["part"] = ["train"] * 80 + ["val"] * 20 + ["test"] * 20
    frame.loc[110, ["a", "b"]] = frame.loc[3, ["a", "b"]]
    frame.loc[5, "size"] = np.nan
    frame.to_csv(tmp_path / "t.csv", index=False)
    return tmp_path / "t.csv"


def test_what_is_told_of_a_table(file: Path) -> None:
    bundle = build(
        file=str(file),
        inputs={"x": {"kind": "vector", "columns": ["a", "b"]}},
        tasks={
            "kind": {"kind": "classification", "column": "kind"},
            "size": {"kind": "regression", "column": "size"},
        },
        split={"column": "part"},
    )
    told = list(understood(bundle, Legend()))
    assert told[:3] == [
        "samples: train 80, val 20, test 20",
        "samples whose inputs are also in train: 0 of val, 1 of test",
        "input 'x': vector, 2",
    ]
    table = pd.read_csv(file)
    train, test = table[:80], table[100:]
    labels = train["kind"]
    assert f"  samples a class in train: {labels.value_counts().min()} to " in told[5]
    majority = (test["kind"] == labels.mode()[0]).mean()
    scaled = [
        ((part[["a", "b"]] - train[["a", "b"]].mean()) / train[["a", "b"]].std(ddof=0))
        for part in (train, test)
    ]
    right = (LogisticRegression().fit(scaled[0], labels).predict(scaled[1]) == test["kind"]).mean()
    assert told[6] == (
        f"  accuracy on test: {majority:.3f} for a constant, {right:.3f} for a linear model"
    )
    known = train["size"].notna()
    predicted = Ridge().fit(scaled[0][known], train["size"][known]).predict(scaled[1])
    error = np.sqrt(((predicted - test["size"]) ** 2).mean())
    assert "labelled: 98.8% of train, 100.0% of val, 100.0% of test" in told[8]
    assert told[-1].endswith(f"{error:.3f} for a linear model")


def test_a_linear_model_does_not_see_synergy() -> None:
    told = list(understood(build_interactions(), Legend()))
    of_task = {line: told[i + 2] for i, line in enumerate(told) if line.startswith("task 'syn")}
    (line,) = of_task.values()
    linear = float(line.split(" for a constant, ")[1].split()[0])
    assert linear < 0.56


def test_the_command_tells_it_of_a_suite(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "s.yaml"
    suite.write_text(
        f"""name: s
dataset:
  name: table
  file: {file}
  inputs: {{x: {{kind: vector, columns: [a, b]}}}}
  tasks: {{size: {{kind: regression, column: size}}}}
"""
    )
    assert main(["check", "--data", str(suite)]) == 0
    assert "task 'size': regression" in capsys.readouterr().out


def test_a_suite_that_will_not_do_is_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "s.yaml"
    suite.write_text("name: s\ndataset: {name: table, file: gone.csv}\n")
    assert main(["check", "--data", str(suite)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["check"]) == 2
    assert capsys.readouterr().err == "check needs --plugin FILE or --data SUITE\n"
