"""What docs/profiling.md shows: its commands, its suite, the columns of its table, its code."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.api import plan
from bench.cell import ProfileUnit
from bench.cli import main, parser
from bench.execution import profiling
from bench.profiling import session
from tests.bench.profiling.steps import IGNORED
from tests.test_docs import ROOT, blocks

GUIDE = (ROOT / "docs" / "profiling.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.filterwarnings(IGNORED)


def commands() -> list[list[str]]:
    shown = (line for block in blocks(GUIDE, "") for line in block.splitlines())
    return [shlex.split(line)[1:] for line in shown if line.startswith("mtmm-bench")]


def test_its_commands_parse() -> None:
    suite, trace = (parser().parse_args(words) for words in commands())
    assert (ROOT / suite.suite).exists()
    assert str(trace.trace) in blocks(GUIDE, "")[0]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"`make ([a-z-]+)`", GUIDE)) <= set(targets)
    for setting in re.findall(r"`(--set [^`]+)`", GUIDE):
        parser().parse_args(["profile", "x.yaml", *shlex.split(setting)])


def headings(text: str) -> set[str]:
    """Of the tables of parts: their first column is the variant, and rules follow."""
    lines = text.splitlines()
    return {
        word
        for line, unit in pairwise(lines)
        if line.startswith("variant ") and set(unit.split()) <= {"ms", "%", "of", "work"}
        for word in line.split()
    }


def test_its_suite_has_the_table_that_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (text,) = blocks(GUIDE, "yaml")
    variants = [variant.name for variant in plan(yaml.safe_load(text)).variants]
    _, shown = blocks(GUIDE, "")
    assert all(shown.count(f"\n{variant} ") == 2 for variant in variants)

    def here(function: Callable[..., Any], unit: ProfileUnit, *given: Any, **_: Any) -> Any:
        return function(unit, *given)

    monkeypatch.setenv("MTMM_BENCH_LOCKS", str(tmp_path))
    monkeypatch.setattr(profiling, "call_isolated", here)
    monkeypatch.setattr(session, "ACTIVE", 1)
    monkeypatch.setattr(session, "_PLAIN", 1)
    monkeypatch.chdir(tmp_path)
    cheap = yaml.safe_load(text) | {"name": "default", "timing": "off"}
    cheap["dataset"]["limit"] = 100
    Path("cheap.yaml").write_text(yaml.safe_dump(cheap), encoding="utf-8")
    assert main(["profile", "cheap.yaml", "--device", "cpu", "-q"]) == 0
    printed = capsys.readouterr().out
    # Kinds of operators have a table in % as well.
    assert headings(shown) == headings(printed.partition("conv ")[0]) > {"fusion", "rest"}

    traces = Path("results", "default", "traces")
    assert {path.name for path in traces.iterdir()} == set(variants)
    (trace,) = (traces / "equal").iterdir()
    shutil.copy(trace, "trace.json.gz")
    assert main(commands()[1]) == 0
    assert "encoders.image.conv1" in capsys.readouterr().out

    pytest.importorskip("torch_tb_profiler", reason="needs mtmm-bench[tensorboard]")
    (code,) = blocks(GUIDE, "python")
    exec(code.replace("traces/hard", "traces/equal"), {})
    assert "aten::" in capsys.readouterr().out
