"""What docs/search.md shows: its commands, its suites, its table, where it says things lie."""

from __future__ import annotations

import inspect
import re
import shlex
from pathlib import Path
from statistics import fmean
from typing import Any, get_args, get_type_hints

import pandas as pd
import pytest
import yaml

from bench import settings
from bench.api import plan
from bench.cli import main, parser
from bench.document import parse
from bench.goals import COSTS
from bench.search.arms import plan_arms
from bench.suite import load_suite
from tests.test_docs import ROOT, blocks

GUIDE = (ROOT / "docs" / "search.md").read_text(encoding="utf-8")
SUITE = ROOT / "suites" / "search.yaml"
REFERENCE = ROOT / "results" / "reference" / "tuned_weighting"


def loaded(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = parse(path.read_text(encoding="utf-8"), path.name).value
    return value


def commands() -> list[list[str]]:
    shown = (line for block in blocks(GUIDE, "") for line in block.splitlines())
    return [shlex.split(line)[1:] for line in shown if line.startswith("mtmm-bench")]


def numbers(row: str) -> list[float]:
    """Those of a row of the table of budgets: trials, samples, scores, difference."""
    return [float(word.replace(",", "")) for word in re.findall(r"[+-]?\d[\d,]*\.?\d*", row)]


def test_its_commands_parse() -> None:
    assert len(commands()) == 2
    for words in commands():
        assert (ROOT / parser().parse_args(words).suite).exists()
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"`make ([a-z-]+)`", GUIDE)) <= set(targets)


def test_its_settings_are_all_there_are_with_their_defaults() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([\w.]+)`? \|", GUIDE, re.MULTILINE))
    parameters = inspect.signature(settings.search).parameters.values()
    defaults = {one.name: yaml.safe_dump(one.default).split("\n")[0] for one in parameters}
    assert rows == defaults


def test_its_suite_is_the_one_that_comes_with_it() -> None:
    first, *_ = blocks(GUIDE, "yaml")
    assert yaml.safe_load(first)["search"] == loaded(SUITE)["search"]
    assert f"{{fusion: [{', '.join(loaded(SUITE)['sweep'][0]['fusion'])}]}}".strip("{}") in GUIDE


def test_its_space_fits() -> None:
    _, second, *_ = blocks(GUIDE, "yaml")
    suite = loaded(SUITE) | yaml.safe_load(second)
    search, arms = plan_arms(load_suite(suite))
    assert len(search.space) == 5
    assert len(arms.variants) == 1


def test_its_single_task_arm_has_no_weighting() -> None:
    *_, fourth = blocks(GUIDE, "yaml")
    search, arms = plan_arms(load_suite(loaded(SUITE) | yaml.safe_load(fourth)))
    assert [arm.name for arm in arms.variants] == ["hard", "separate"]
    assert len(search.space) == 3


def test_its_columns_samplers_and_pruners_are_all_there_are() -> None:
    _, _, third, _ = blocks(GUIDE, "yaml")
    search, _ = plan_arms(load_suite(loaded(SUITE) | {"sweep": []} | yaml.safe_load(third)))
    assert search.times
    section = GUIDE.partition("Columns are `val.score`")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", section)) == set(COSTS)
    annotations = get_type_hints(settings.search)
    rows = GUIDE.partition("## Which sampler")[2].partition("\n\n`median`")[0]
    named = re.findall(r"^\| `(\w+)` \|", rows, re.MULTILINE)
    choices = [*get_args(annotations["sampler"]), *get_args(annotations["pruner"])]
    assert sorted(named) == sorted(set(choices) - {"none"})


def test_what_it_says_of_its_table() -> None:
    rows = {
        name: numbers(line.removeprefix(name))
        for line in GUIDE.splitlines()
        for name in re.findall(r"^((?:concat|film) \d) ", line)
    }
    assert len({(trials, samples) for trials, samples, *_ in rows.values()}) == 1
    untuned, film = rows["concat 1"][3], rows["film 1"]
    assert f"{film[4] - untuned:.1f} points better" in GUIDE
    assert f"{-film[5]:.1f} points behind" in GUIDE
    assert film[-1] > 0.05
    tuned = [rows[f"concat {i}"][4] for i in (1, 2, 3)]
    assert f"lie {max(tuned) - min(tuned):.1f} points apart" in GUIDE
    others = [rows[f"film {i}"][4] for i in (1, 2, 3)]
    behind = float(re.findall(r"`film` is ([\d.]+) points behind", GUIDE)[0])
    assert behind == pytest.approx(fmean(tuned) - fmean(others), abs=0.1)


def test_a_search_prints_its_table_leaves_its_files_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    suite = loaded(SUITE) | {"seeds": 2}
    suite["dataset"]["limit"], suite["train"]["epochs"], suite["search"]["trials"] = 150, 1, 2
    Path("search.yaml").write_text(yaml.safe_dump(suite), encoding="utf-8")
    command = ["search", "search.yaml", "--workers", "0", "-q"]
    assert main(command) == 0
    (shown,) = (block for block in blocks(GUIDE, "") if block.startswith("arm "))
    _, printed, _ = capsys.readouterr().out.split("\narm ")
    assert printed.splitlines()[0].split() == shown.splitlines()[0].split()[1:]
    folder = Path("results", "search-tuned")
    for name in ("tuned.md", "tuned.tex", "tuned-arms.tex", "study.journal", "search.json"):
        assert f"`{name}`" in GUIDE
        assert (folder / name).stat().st_size
    assert len(plan(folder / "best-film_3.yaml").variants) == 1
    trained = sorted(Path("results", "cells").iterdir())
    assert main(command) == 0
    assert sorted(Path("results", "cells").iterdir()) == trained


def test_the_reference_says_what_its_table_says() -> None:
    text = (REFERENCE / "tuned.md").read_text(encoding="utf-8")
    told = text.partition("| arm")[0].replace("\n", " ")
    rows = {name: numbers(row) for name, row in re.findall(r"^\| (\w+ \d) (\| \d.*)$", text, re.M)}
    search, arms = plan_arms(load_suite(ROOT / "suites" / "tuned_weighting.yaml"))
    studies = [f"{arm.name} {i}" for arm in arms.variants for i in (1, 2, 3)]
    assert list(rows) == studies
    assert {row[0] for row in rows.values()} == {search.trials}
    assert len({row[1] for row in rows.values()}) == 1
    gains = [row[4] - row[3] for row in rows.values()]
    assert f"{min(gains):.1f} to {max(gains):.1f} points to every arm" in told
    tuned = {arm.name: [rows[f"{arm.name} {i}"][4] for i in (1, 2, 3)] for arm in arms.variants}
    spread = max(tuned["static"]) - min(tuned["static"])
    assert f"end {spread:.1f} points apart" in told
    best = [max(of) for of in tuned.values()]
    assert max(best) - min(best) < spread
    means = {name: round(fmean(of), 1) for name, of in tuned.items()}
    static = means.pop("static")
    assert f"its three searches ({static} %)" in told
    above = [mean - static for mean in means.values()]
    assert f"{min(above):.1f} to {max(above):.1f} points below" in told
    assert tuned["gradnorm"][0] < tuned["static"][0]
    assert min(tuned["gradnorm"]) > tuned["static"][2]
    table = pd.read_csv(REFERENCE / "comparison.csv", index_col="variant")
    verdicts = {name: table["verdict"][f"{name}-tuned"] for name in rows}
    arms_p = re.findall(r"^\| \w+ \| 3 \| .* (\d\.\d{3}) \|$", text, re.M)
    assert len(arms_p) == 6
    assert f"p is {arms_p[0]} for all six" in told
    assert set(arms_p) == {arms_p[0]}
    assert verdicts.pop("static 1") == "baseline"
    assert {name for name in verdicts if verdicts[name] != "not distinguishable"} == {"static 3"}
    assert f"p = {table['p_holm']['static 3-tuned']:.3f} after Holm" in told
