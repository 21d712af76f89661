from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import bench
from bench import keeping
from bench.keeping import Keep, lacks


def run(suite: dict[str, Any], folder: Path, **settings: Any) -> Any:
    return bench.run(
        suite | {"seeds": 1, "sweep": []}, results=folder, workers=0, settings=settings
    )


def test_a_finished_record_stays_where_its_files_cannot_be_kept(
    suite: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = run(suite, tmp_path)
    (cell,) = (tmp_path / "cells").iterdir()
    record = cell.read_bytes()

    def full(*_: Any) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(keeping, "save", full)
        failed = run(suite, tmp_path, **{"train.keep": ["weights"]})
    assert failed["status"].tolist() == ["ok"]
    assert cell.read_bytes() == record
    assert not (tmp_path / "set-aside").exists()
    again = run(suite, tmp_path, **{"train.keep": ["weights"]})
    assert again["test.score"].equals(before["test.score"])
    bench.load_model(tmp_path / "small", variant="base", seed=0)


def test_what_is_lacking(tmp_path: Path) -> None:
    base = tmp_path / "kept" / "cell"
    asked: dict[str, Any] = {"train": {"keep": ["weights", "predictions"]}}
    assert lacks(asked, base)
    assert not lacks({"train": {"keep": None}}, base)
    assert not lacks({"train": {"keep": []}}, base)
    files = Keep(base, ("weights", "predictions"))
    files.write("weights", {})
    assert lacks(asked, base)
    files.write("predictions", {})
    assert not lacks(asked, base)
    shutil.rmtree(base.parent)
    assert lacks(asked, base)


@pytest.mark.parametrize("left", [b"", b"half of it", None])
def test_files_that_cannot_be_read_are_told(
    left: bytes | None, suite: dict[str, Any], tmp_path: Path
) -> None:
    run(suite, tmp_path, **{"train.keep": ["weights", "predictions"]})
    for what, load in (("weights", bench.load_model), ("predictions", bench.load_predictions)):
        (file,) = (tmp_path / "kept").glob(f"*.{what}.pt")
        file.write_bytes(file.read_bytes()[:-100] if left is None else left)
        with pytest.raises(bench.InputError, match=file.name):
            load(tmp_path / "small", variant="base", seed=0)


def test_a_loop_of_ones_own_kept_nothing(tmp_path: Path) -> None:
    metrics = {"script": {"accuracy": 0.5}}
    bench.record("own", variant="a", seed=0, metrics=metrics, results=tmp_path)
    with pytest.raises(bench.InputError, match="of a loop of your own, which kept no weights"):
        bench.load_model(tmp_path / "own", variant="a", seed=0)
