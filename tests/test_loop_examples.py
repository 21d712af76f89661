"""The loops in docs/examples/loops are run as a user would, and docs/loops.md shows them."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import nn

import bench
import mtmm
from bench.cli import main, parser
from mtmm.spec import SharedSpace
from mtmm.weighting import WEIGHTINGS, build
from mtmm.weighting.base import Weighting

ROOT = Path(__file__).resolve().parent.parent
LOOPS = ROOT / "docs" / "examples" / "loops"
GUIDE = (ROOT / "docs" / "loops.md").read_text(encoding="utf-8")
NEEDS = {
    "plain": (),
    "lightning_loop": ("lightning",),
    "hf_trainer": ("transformers", "accelerate"),
}
SUITES = {"plain": "plain", "lightning_loop": "lightning", "hf_trainer": "trainer", "ddp": "ddp"}

AGAIN = """
import json, sys, torch, two_tasks
from {loop} import train

def losses(net):
    with torch.no_grad():
        batch = two_tasks.samples(two_tasks.DATA.train, slice(None))
        return [loss.item() for loss in net(**batch)]

before = losses(two_tasks.Net())
net = train("pcgrad", 1)
metrics = two_tasks.accuracies(net)
json.dump({{"before": before, "after": losses(net), "metrics": metrics}}, open("again.json", "w"))
"""

Loop = Callable[[str], Path]
"""From the name of a loop to the folder in which it has run."""


def python(folder: Path, *arguments: str) -> None:
    paths = os.pathsep.join([str(ROOT), str(LOOPS)])
    env = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Loop:
    """Runs a loop, the first time that it is asked for."""
    folders: dict[str, Path] = {}

    def run(loop: str) -> Path:
        for package in NEEDS.get(loop, ()):
            if importlib.util.find_spec(package) is None:
                pytest.skip(f"{package} is not installed")
        if loop not in folders:
            folder = tmp_path_factory.mktemp(loop)
            python(folder, str(LOOPS / f"{loop}.py"))
            folders[loop] = folder
        return folders[loop]

    return run


def frame_of(folder: Path, loop: str) -> pd.DataFrame:
    return bench.load(folder / "results" / SUITES[loop])


@pytest.mark.parametrize("loop", SUITES)
def test_a_loop_leaves_a_comparison(
    loop: str, ran: Loop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ran(loop)
    frame = frame_of(folder, loop)
    found = list(zip(frame["variant"], frame["seed"], strict=True))
    assert found == [(name, seed) for name in ("equal", "pcgrad") for seed in range(3)]
    assert set(frame["status"]) == {"ok"}
    assert (frame["test.score"] > 0.1).all()  # 0: the most frequent class
    assert frame["test.script.accuracy"].nunique() > 1
    monkeypatch.chdir(folder)
    assert main(["report", f"results/{SUITES[loop]}"]) == 0
    (row,) = re.findall(r"^pcgrad +3 .*$", capsys.readouterr().out, flags=re.MULTILINE)
    assert re.search("better|worse|not distinguishable", row)
    assert (folder / "results" / SUITES[loop] / "report.html").exists()


@pytest.mark.parametrize("loop", NEEDS)
def test_losses_fall_and_the_same_seed_gives_the_same(loop: str, ran: Loop) -> None:
    folder = ran(loop)
    python(folder, "-c", AGAIN.format(loop=loop))
    again = json.loads((folder / "again.json").read_text())
    pairs = list(zip(again["before"], again["after"], strict=True))
    assert all(after < 0.9 * before for before, after in pairs), pairs
    frame = frame_of(folder, loop)
    (row,) = frame[(frame["variant"] == "pcgrad") & (frame["seed"] == 1)].to_dict("records")
    for task, of_task in again["metrics"].items():
        assert row[f"test.{task}.accuracy"] == of_task["accuracy"]


def test_lightning_gives_what_the_plain_loop_gives(
    ran: Loop, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, lightning = ran("plain"), ran("lightning_loop")
    first, second = frame_of(plain, "plain"), frame_of(lightning, "lightning_loop")
    pd.testing.assert_frame_equal(first.drop(columns="suite"), second.drop(columns="suite"))
    folders = [str(plain / "results" / "plain"), str(lightning / "results" / "lightning")]
    assert main(["compare", *folders]) == 0
    assert "not distinguishable" in capsys.readouterr().out


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, flags=re.DOTALL | re.MULTILINE)
    return [code for name, code in fenced if name == language]


def test_the_guide_shows_what_the_loops_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [path.read_text(encoding="utf-8") for path in sorted(LOOPS.glob("*.py"))]
    *shown, failed = blocks("python")
    assert len(shown) == 5
    for block in shown:
        assert any(block in source for source in sources), textwrap.dedent(block)
    monkeypatch.chdir(tmp_path)
    exec(failed, {})
    assert bench.load("results/plain")["status"].tolist() == ["diverged"]


def test_the_commands_of_the_guide_exist() -> None:
    lines = [line for block in blocks("") for line in block.splitlines()]
    assert len(lines) == 3
    for line in lines:
        program, *words = shlex.split(line)
        if program == "python":
            assert (ROOT / words[0]).exists()
        else:
            parser().parse_args(words)
    for path in LOOPS.glob("*.py"):
        assert f"(examples/loops/{path.name})" in GUIDE


def rows_of_methods() -> dict[str, tuple[str, str]]:
    """For each method what the table says of `shared`, and of what else it needs."""
    section = GUIDE[GUIDE.index("## What a method needs") : GUIDE.index("**Mixed")]
    told: dict[str, tuple[str, str]] = {}
    for line in section.splitlines():
        if line.startswith("| `"):
            names, shared, more = (cell.strip() for cell in line.strip("|").split("|"))
            told |= dict.fromkeys(re.findall(r"`(\w+)`", names), (shared, more))
    return told


def test_the_guide_tells_of_every_method() -> None:
    assert set(rows_of_methods()) == set(WEIGHTINGS)


@pytest.mark.parametrize("method", sorted(WEIGHTINGS))
def test_what_the_guide_says_of_a_method(method: str) -> None:
    shared, more = rows_of_methods()[method]
    kind = WEIGHTINGS[method]
    assert ("`weighting.parameters()`" in more) == bool(kind.learned)
    for call in ("epoch_end", "after_step"):
        overridden = getattr(kind, call) is not getattr(Weighting, call)
        assert (call in more) == overridden
    trunk, heads = nn.Linear(3, 4), [nn.Linear(4, 1) for _ in range(2)]
    z = trunk(torch.randn(5, 3))
    losses = [head(z).square().mean() for head in heads]
    given: dict[str, Any] = {
        "is not looked at": [],
        "parameters": trunk,
        "the representation": z,
        "`SharedSpace(theta=..., last=...)`": SharedSpace(
            theta={"trunk": tuple(trunk.parameters())}, last=trunk
        ),
    }
    mtmm.backward(losses, build(method, num_tasks=2), given[shared])
    assert trunk.weight.grad is not None
    assert trunk.weight.grad.abs().sum() > 0
