"""After a search: the tuned arms, as files and in the table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import bench
from bench.document import parse
from bench.planning import make_plan
from bench.search import trial as trials
from bench.search.arms import plan_arms
from bench.search.budget import budget_notes
from bench.search.tuned import Found, suite_file, tuned_suite
from bench.suite import load_suite
from tests.bench.search.planted import Quiet, study, training
from tests.conftest import SUITE

SPACE = {
    "train.optimizer.lr": {"low": 1e-3, "high": 1e-1, "log": True},
    "fusion": ["concat", {"name": "lowrank", "rank": 3}],
    "weighting": ["equal", {"name": "static", "weights": [0.5, 1.5]}],
}


@pytest.fixture
def best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The best configuration of a study, with components and a rate of its own."""
    score = training(lambda config: float("rank" in config["model"]["fusion"]))
    monkeypatch.setattr(trials, "Training", score)
    one = study(tmp_path / "store", space=SPACE, trials=8)
    one.work(Quiet())
    (found,) = one.front()
    assert found.value == 1
    return one.configuration(found)


def found_of(arm: Any, config: dict[str, Any] | None) -> Found:
    counts = {"finished": 8, "pruned": 0, "failed": 0, "samples": 1, "asked": 8}
    return Found(arm=arm, search=arm.name, config=config, columns={"val.score": 1.0}, **counts)


def test_the_file_of_an_arm_plans_the_best_configuration(
    best: dict[str, Any], tmp_path: Path
) -> None:
    suite = load_suite({**SUITE, "search": {"space": SPACE}})
    (arm,) = plan_arms(suite)[1].variants
    path = tmp_path / "best.yaml"
    path.write_text(suite_file(suite, found_of(arm, best)), encoding="utf-8")
    (only,) = bench.plan(path).variants
    assert only.config == best
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["seeds"] == [0, 1]


@pytest.mark.parametrize(
    "timing", ["off", {}, {"batch_sizes": [1, 8], "modes": ["train"], "budget_s": 2.5}]
)
def test_the_file_of_an_arm_is_timed_as_its_suite(timing: Any, best: dict[str, Any]) -> None:
    suite = load_suite({**SUITE, "timing": timing, "search": {"space": SPACE}})
    (arm,) = plan_arms(suite)[1].variants
    text = suite_file(suite, found_of(arm, best))
    assert load_suite(parse(text, "best.yaml").value).timing == suite.timing


def test_arms_are_compared_as_they_are_and_tuned(best: dict[str, Any]) -> None:
    suite = load_suite({**SUITE, "search": {"space": SPACE, "each": ["sharing"]}})
    _, arms = plan_arms(suite)
    hard, separate = arms.variants
    other = {**best, "model": {**best["model"], "sharing": separate.config["model"]["sharing"]}}
    found = [found_of(hard, best), found_of(separate, other)]
    plan = make_plan(tuned_suite(suite, arms, found))
    configs = {variant.name: variant.config for variant in plan.variants}
    assert configs == {
        "hard": hard.config,
        "hard-tuned": best,
        "separate": separate.config,
        "separate-tuned": other,
    }
    assert plan.baseline == "hard-tuned"


def test_an_arm_that_no_trial_completed_is_there_as_it_is(best: dict[str, Any]) -> None:
    suite = load_suite({**SUITE, "search": {"space": SPACE, "each": ["sharing"]}})
    _, arms = plan_arms(suite)
    hard, separate = arms.variants
    plan = make_plan(tuned_suite(suite, arms, [found_of(hard, best), found_of(separate, None)]))
    assert {variant.name for variant in plan.variants} == {"hard", "hard-tuned", "separate"}


def test_an_arm_that_is_best_as_it_is_has_one_row(best: dict[str, Any]) -> None:
    suite = load_suite({**SUITE, "search": {"space": SPACE, "each": ["sharing"]}})
    _, arms = plan_arms(suite)
    hard, separate = arms.variants
    found = [found_of(hard, dict(hard.config)), found_of(separate, None)]
    plan = make_plan(tuned_suite(suite, arms, found))
    assert {variant.name for variant in plan.variants} == {"hard", "separate"}
    assert plan.baseline == "hard"


def test_a_pruner_that_gave_nothing_up_is_told(best: dict[str, Any]) -> None:
    suite = load_suite(
        {**SUITE, "search": {"space": SPACE, "pruner": "wilcoxon", "seeds": 5, "trials": 8}}
    )
    asked, arms = plan_arms(suite)
    found = [found_of(arms.variants[0], best)]
    told = "No trial was given up by the pruner (wilcoxon)."
    assert told in budget_notes(found, asked)
    assert told not in budget_notes([replace(found[0], pruned=1)], asked)
    assert told not in budget_notes(found, replace(asked, pruner="none"))
