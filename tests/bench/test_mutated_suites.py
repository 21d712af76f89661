"""Whatever is done to a suite, it plans or ends with exit code 2 and a message."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.cli import main
from bench.document import parse

ROOT = Path(__file__).resolve().parents[2]
RICH = """\
name: rich
dataset: {name: glyphs, word_dropout: 0.5, limit: 300}
tasks: [script, category, slant]
model: {encoders: {image: {name: lenet, channels: 2}, text: lstm}, fusion: gated, width: 8}
weighting: uncertainty
train: {epochs: 2, optimizer: {name: sgd, lr: 0.1}, schedule: step, lr_scale: {heads: 2}}
numerics: {memory_format: contiguous}
sweep:
  - {fusion: [sum, {name: gated, gate: text}], sharing: [hard, separate]}
  - {zip: {train.batch_size: [16, 32], train.optimizer.lr: [0.1, 0.2]}}
  - {simplex: {axis: weighting.weights, points: 3}, weighting: [static]}
ablate: {fusion: concat, weighting: equal, modalities: each, tasks: each}
exclude: [{when: {fusion: sum, sharing: separate}, reason: not asked}]
seeds: [0, 3]
baseline: {fusion: gated}
family: {except: {weighting: static}, best: {weighting: static, tasks: [script, category, slant]}}
timing: {batch_sizes: [16], modes: [train], budget_s: 0.1}
single_task: auto
max_params: 1e6
"""
TEXTS = [RICH, *(path.read_text("utf-8") for path in sorted(ROOT.glob("suites/*.yaml")))]
JUNK: list[Any] = [
    None,
    True,
    "",
    "x",
    "sum",
    "each",
    "off",
    "../..",
    "\u2028",
    0,
    -1,
    1e308,
    -(2**63),
    2**63 - 1,
    float("nan"),
    float("inf"),
    [],
    [[]],
    [1, "a"],
    {},
    {"name": "sum"},
    {"name": None},
    {"a": {"b": []}},
]
CHARACTERS = "{}[]:,#&*!|>'\"%@`\t\n -0123456789abcdefxyz\u00e9\u0000\u2028"


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside: Any = ()
    if isinstance(value, dict):
        inside = value.items()
    elif isinstance(value, list):
        inside = enumerate(value)
    found = [path] if path else []
    return found + [place for key, item in inside for place in places(item, (*path, key))]


def change(value: Any, chance: random.Random) -> None:
    """One random mistake: a value replaced, moved or removed, a key renamed or added."""
    path = chance.choice(places(value))
    parent = value
    for part in path[:-1]:
        parent = parent[part]
    last = path[-1]
    kind = chance.randrange(5)
    if kind == 0:
        parent[last] = copy.deepcopy(chance.choice(JUNK))
    elif kind == 1:
        parent.pop(last)
    elif kind == 2 and isinstance(parent, dict):
        parent[str(last)[: chance.randrange(8)] + chance.choice("aex.")] = parent.pop(last)
    elif kind == 3 and isinstance(parent, dict):
        parent[chance.choice(["sweep", "fusion", "name", "when", "a.b", "."])] = parent[last]
    else:
        other = value
        for part in (place := chance.choice(places(value))):
            other = other[part]
        parent[last] = copy.deepcopy(other) if place[: len(path)] != path else place[-1]


def scramble(text: str, chance: random.Random) -> str:
    """A few characters of the file changed, cut out or doubled."""
    for _ in range(chance.randrange(1, 4)):
        start = chance.randrange(len(text))
        stop = min(start + chance.randrange(12), len(text))
        between = chance.choice(["", text[start:stop] * 2, chance.choice(CHARACTERS)])
        text = text[:start] + between + text[stop:]
    return text


@settings(
    max_examples=2000,
    deadline=10_000,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.sampled_from(TEXTS), st.integers(1, 3), st.booleans(), st.randoms(use_true_random=False))
def test_a_changed_suite_plans_or_is_refused_with_a_message(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    text: str,
    count: int,
    in_text: bool,
    chance: random.Random,
) -> None:
    if in_text:
        changed = scramble(text, chance)
    else:
        value = parse(text, "f").value
        for _ in range(count):
            if places(value):
                change(value, chance)
        changed = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    file = tmp_path / "suite.yaml"
    file.write_text(changed, encoding="utf-8")
    code = main(["plan", str(file), "--results", str(tmp_path / "results")])
    out, err = capsys.readouterr()
    assert code in (0, 2)
    if code == 2:
        assert out == ""
        assert all(line.startswith(f"{file}:") for line in err.splitlines())
        assert err.strip()
        assert "Traceback" not in err
    else:
        assert err == ""
        assert "train cells" in out
