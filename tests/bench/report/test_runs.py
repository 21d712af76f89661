from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.store import write_json

BEFORE, AFTER = (0.50, 0.60, 0.70), (0.40, 0.49, 0.61)


def arm(ms: float) -> dict[str, Any]:
    """Eight rounds of one step, that scatter by a thousandth."""
    steps = [[ms * math.exp(0.001 * (-1) ** number)] for number in range(8)]
    return {"phases": ["step"], "phase_ms": steps, "rounds": list(range(8)), "status": "ok"}


class Pair:
    """A suite that is run several times, each into a folder of its own."""

    def __init__(self, made: Any) -> None:
        self.made = made

    def write(
        self,
        run: str,
        *variants: tuple[str, Sequence[float | str], float],
        reference_ms: float | None = 5.0,
        device: str = "a CPU (2 cores)",
        cpu: str = "x",
    ) -> Path:
        """One run as a results folder of its own; the path of its suite."""
        self.made.variants.clear()
        shutil.rmtree(self.made.root, ignore_errors=True)
        for name, scores, step_ms in variants:
            self.made.add(name, scores, step_ms=(step_ms, step_ms * 0.99, step_ms * 1.01))
            identity = self.made.variants[-1]["time"][0]
            path = self.made.root / "cells" / f"{identity}.json"
            record = json.loads(path.read_text()) | {"samples": arm(step_ms)}
            record["summary"] |= {
                "rounds": 8,
                "step_lo_ms": step_ms * math.exp(-0.001),
                "step_hi_ms": step_ms * math.exp(0.001),
            }
            reference = {} if reference_ms is None else {"reference": arm(reference_ms)}
            write_json(path, record | reference | {"device_name": device})
        described = {"identity": {"cpu": cpu}, "state": {"load": 1}}
        write_json(self.made.root / "environments" / "e1.json", described)
        folder = self.made.write()
        moved = self.made.root.parent / run
        shutil.move(self.made.root, moved)
        return Path(moved / folder.name)


@pytest.fixture
def pair(results: Any) -> Pair:
    """Runs to compare."""
    return Pair(results)


def test_the_table_of_two_runs(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    a = pair.write("a", ("base", BEFORE, 10.0), ("film", BEFORE, 20.0), ("old", BEFORE, 5.0))
    b = pair.write("b", ("base", BEFORE, 10.2), ("film", AFTER, 26.0), cpu="y")
    assert main(["compare", str(a), str(b)]) == 0
    out = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == f"A: {a} (suite demo, timed on a CPU (2 cores))"
    assert "base 3 60.0 60.0 +0.0 [+0.0, +0.0] 1.000 not distinguishable" in lines
    assert "film 3 60.0 50.0 -10.0 [-12.5, -7.5] 0.007 worse" in lines
    assert "base train 64 10.0 10.2 1.02 [1.02, 1.02] 1.00 [1.00, 1.00] same" in lines
    assert "film train 64 20.0 26.0 1.30 [1.30, 1.30] 1.00 [1.00, 1.00] slower" in lines
    assert "only in A: old" in lines
    assert "warning: cpu: x in A, y in B" in lines
    assert max(map(len, out.partition("- Scores")[0].splitlines()[2:])) <= 120
    assert not any(line.startswith("- A and B were timed") for line in lines)


def test_a_gate_fails_on_the_words_it_is_set_on(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    a = str(pair.write("a", ("base", BEFORE, 10.0), ("film", BEFORE, 20.0)))
    worse = str(pair.write("worse", ("base", BEFORE, 10.0), ("film", AFTER, 20.0)))
    slower = str(pair.write("slower", ("base", BEFORE, 10.0), ("film", BEFORE, 30.0)))
    failed = str(pair.write("failed", ("base", BEFORE, 10.0), ("film", (0.5, 0.6, "no"), 20.0)))
    for b, fails in ((worse, "worse"), (slower, "slower"), (failed, "failed"), (a, "")):
        for word in ("worse", "slower", "failed", "unclear", "better", "faster"):
            assert main(["compare", a, b, "--fail-on", word]) == (word == fails)
    assert main(["compare", slower, a, "--fail-on", "worse,faster"]) == 1
    assert main(["compare", a, slower, "--fail-on", "slower", "--threshold", "0.6"]) == 0
    assert "failed in B: film, seed 2: error: no" in capsys.readouterr().out


def test_what_is_asked_wrongly_is_a_message(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    a = str(pair.write("a", ("base", BEFORE, 10.0)))
    gpu = str(pair.write("b", ("base", BEFORE, 10.0), device="a GPU"))
    wrong = [
        (["--fail-on", "worse,wors"], "worse, slower, failed, unclear, better, faster; found 'wor"),
        (["--threshold", "10"], "must lie between 0 and 1, as 0.05; found '10'"),
        (["--threshold", "nan"], "must lie between 0 and 1, as 0.05; found 'nan'"),
    ]
    for more, message in wrong:
        with pytest.raises(SystemExit, match="2"):
            main(["compare", a, a, *more])
        assert message in capsys.readouterr().err
    assert main(["compare", a, "nowhere"]) == 2
    assert capsys.readouterr().err.startswith("nowhere: no results of a suite here")
    assert main(["compare", a, gpu]) == 2
    assert "A on 'a CPU (2 cores)'; B on 'a GPU'; --allow-mixed" in capsys.readouterr().err
    assert main(["compare", a, gpu, "--allow-mixed"]) == 0
    assert "- A and B were timed on different devices" in capsys.readouterr().out


def test_a_reference_arm_that_moved_is_told(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    a = pair.write("a", ("base", BEFORE, 10.0))
    b = pair.write("b", ("base", BEFORE, 13.0), reference_ms=6.5)
    assert main(["compare", str(a), str(b), "--fail-on", "slower"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "1.30 [1.30, 1.30] 1.30 [1.30, 1.30] unclear" in out
    assert "unclear: base, train at batch size 64: the reference arm moved, 1.30 times" in out
    older = pair.write("older", ("base", BEFORE, 13.0), reference_ms=None)
    main(["compare", str(a), str(older)])
    assert "no reference arm in B" in capsys.readouterr().out


def test_json_has_everything_in_full(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    a = pair.write("a", ("base", BEFORE, 10.0))
    b = pair.write("b", ("base", (0.5,), 13.0), reference_ms=None, cpu="y")
    assert main(["compare", str(a), str(b), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["a"] == {"folder": str(a), "suite": "demo", "devices": ["a CPU (2 cores)"]}
    (score,) = told["scores"]
    assert (score["n_pairs"], score["p_holm"], score["verdict"]) == (1, None, "")
    (time,) = told["times"]
    assert time["ratio"] == pytest.approx(1.3)
    assert (time["reference"], time["verdict"]) == (None, "unclear")
    assert told["identity"] == [{"name": "cpu", "a": "x", "b": "y"}]
    assert told["state"] == told["lost"] == told["settings"] == told["metrics"] == []


def test_texts_of_anybody_stay_on_their_lines(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "a\n\x1b[31mb"
    a = pair.write("a", (name, BEFORE, 10.0), cpu="\x1b[2J")
    b = pair.write("b", (name, (0.1, 0.2, "no\n\x1b[1m"), 10.8), reference_ms=9.0)
    main(["compare", str(a), str(b)])
    other = pair.write("other", ("c", BEFORE, 10.0))
    main(["compare", str(a), str(other)])
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err


def test_a_metric_that_is_defined_otherwise_is_a_warning(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    a = pair.write("a", ("base", BEFORE, 10.0))
    b = pair.write("b", ("base", BEFORE, 10.0))
    manifest = json.loads((b / "manifest.json").read_text())
    manifest["metrics"]["accuracy"]["version"] = 2
    (b / "manifest.json").write_text(json.dumps(manifest))
    main(["compare", str(a), str(b)])
    assert "warning: metric accuracy is defined otherwise in B" in capsys.readouterr().out


def test_a_run_is_the_same_as_itself(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(finished), str(finished), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {row["variant"] for row in told["scores"]} == {"hard", "separate"}
    assert {row["verdict"] for row in told["scores"]} == {"not distinguishable"}
    assert len(told["times"]) == 4
    assert {row["verdict"] for row in told["times"]} <= {"same", "unclear"}
    for row in told["times"]:
        assert row["ratio"] == row["reference"] == 1.0
        assert row["reference_lo"] < 1.0 < row["reference_hi"]
        assert "reference arm" not in row["why"]
    assert told["identity"] == told["state"] == told["settings"] == []
