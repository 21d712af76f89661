"""Every arm is searched again with other seeds, so that the noise of tuning shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import bench
from tests.bench.search.test_search_command import run


def test_repeats_are_studies_of_their_own_with_a_row_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--set", "search.repeats=2") == 0
    folder = tmp_path / "results" / "tiny-tuned"
    told = json.loads((folder / "search.json").read_text(encoding="utf-8"))
    labels = [(one["arm"], one["label"], one["repeat"]) for one in told["arms"]]
    assert labels == [
        ("equal", "equal 1-tuned", 0),
        ("equal", "equal 2-tuned", 1),
        ("static", "static 1-tuned", 0),
        ("static", "static 2-tuned", 1),
    ]
    first, second, *_ = ([t["params"] for t in one["trials"]] for one in told["arms"])
    assert first != second
    frame = bench.load(folder)
    chosen = [one["trials"][one["chosen"]] for one in told["arms"]]
    for label, trial in zip(labels, chosen, strict=True):
        rows = frame[frame["variant"] == label[1]]
        assert set(rows["config.train.optimizer.lr"]) == {trial["params"]["train.optimizer.lr"]}
    out = capsys.readouterr().out
    rows = [line.split()[:2] for line in out.splitlines()]
    assert ["equal", "2"] in rows
    assert ["static", "2"] in rows
    assert "These cover the noise of tuning" in (folder / "tuned.md").read_text(encoding="utf-8")
    assert "tabular" in (folder / "tuned-arms.tex").read_text(encoding="utf-8")
    assert {path.name for path in folder.glob("best-*.yaml")} == {
        f"best-{arm}_{i}.yaml" for arm in ("equal", "static") for i in (1, 2)
    }
