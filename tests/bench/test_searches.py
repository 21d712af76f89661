"""What a search may ask for: told while planning, before anything trains."""

from __future__ import annotations

from typing import Any

import pytest

from bench.search.arms import plan_arms
from bench.suite import SuiteError, load_suite
from tests.conftest import SUITE

WIDTH = {"model.width": {"low": 4, "high": 8}}
RATE = {"train.optimizer.lr": {"low": 1e-3, "high": 1e-1, "log": True}}
SHARED = {"model.width": {"low": 4, "high": 8, "when": {"sharing": "hard"}}}


@pytest.mark.parametrize(
    ("search", "place", "message"),
    [
        ({"objective": []}, "objective", "must be one column or several"),
        ({"objective": ["val.score", "val.score"]}, "objective", "none twice"),
        ({"objective": "step_sm"}, "objective", "did you mean 'step_ms'"),
        ({"objective": ["step_ms", "test.score"]}, "objective", "test is for the tuned arms"),
        ({"objective": 3}, "objective", "objective"),
        ({"constraints": []}, "constraints", "must map columns to bounds"),
        ({"constraints": {"step_ms": 5}}, "constraints.step_ms", "`max`, `min` or both"),
        ({"constraints": {"step_ms": {"most": 5}}}, "constraints.step_ms", "`max`, `min` or both"),
        ({"constraints": {"step_ms": {"max": "5"}}}, "constraints.step_ms", "finite"),
        ({"constraints": {"params": {"max": 1, "min": 2}}}, "constraints.params", "above `max`"),
        ({"constraints": {"test.score": {"min": 0}}}, "constraints.test.score", "test is for"),
        ({"constraints": {"val.slant.f2": {"min": 0}}}, "constraints.val.slant.f2", "no metric"),
        ({"sampler": "bayes"}, "sampler", "tpe"),
        ({"sampler": "grid", "space": RATE}, "sampler", "train.optimizer.lr"),
        ({"sampler": "cmaes"}, "sampler", "two numbers or more"),
        (
            {"sampler": "cmaes", "space": {"sharing": ["hard", "separate"], **WIDTH}},
            "sampler",
            "found choices for model.sharing",
        ),
        ({"sampler": "cmaes", "constraints": {"params": {"max": 9}}}, "sampler", "no constraints"),
        (
            {"sampler": "gp", "space": {"sharing": ["hard", "separate"], **SHARED}},
            "sampler",
            "`when` makes several of 'base'",
        ),
        ({"pruner": "asha"}, "pruner", "hyperband"),
        (
            {"pruner": "median", "objective": ["val.score", "params"]},
            "pruner",
            "several objectives",
        ),
        ({"pruner": "hyperband", "objective": "step_ms"}, "pruner", "found the objective step_ms"),
        ({"pruner": "wilcoxon", "seeds": 4}, "pruner", "at least 5"),
        ({"pruner": "median"}, "pruner", "`train.epochs` must be above 1"),
        (
            {"space": {"fusion": ["concat", "film"]}, "modalities": ["image"]},
            "space.fusion",
            "changes nothing: whatever is proposed, configurations have {'name': 'none'} there",
        ),
        (
            {"space": {"train.epochs": [2, "a"]}, "pruner": "median"},
            "space.train.epochs",
            "must be a whole number",
        ),
        (
            {"space": {"train.modality_dropout": {"low": 0.0, "high": 0.5, "step": 1e-30}}},
            "space.train.modality_dropout.step",
            "at most 1,000,000,000 values",
        ),
        ({"repeats": 0}, "repeats", "repeats"),
    ],
)
def test_what_cannot_be_done_is_told_where_it_stands(
    search: dict[str, Any], place: str, message: str
) -> None:
    short = {**SUITE, "train": {**SUITE["train"], "epochs": 1}}
    if "modalities" in search:
        search = dict(search)
        short["modalities"] = search.pop("modalities")
        short["model"] = {**SUITE["model"], "encoders": {"image": "lenet"}}
    with pytest.raises(SuiteError) as error:
        plan_arms(load_suite({**short, "search": {"space": WIDTH, **search}}))
    assert message in str(error.value)
    assert f"search.{place}" in str(error.value)


@pytest.mark.parametrize(
    "search",
    [
        {"objective": ["val.score", "val.script.accuracy", "inference_ms"], "sampler": "nsga2"},
        {"objective": "val.script.accuracy", "pruner": "hyperband", "seeds": 2},
        {"constraints": {"peak_mib": {"max": 100}, "val.slant.accuracy": {"min": 0.5}}},
        {"sampler": "cmaes", "space": {**WIDTH, **RATE}, "pruner": "wilcoxon", "seeds": 5},
        {"sampler": "grid"},
        {"sampler": "gp", "objective": ["val.score", "samples_per_s"]},
    ],
)
def test_what_can_be_asked_for(search: dict[str, Any]) -> None:
    asked, _ = plan_arms(load_suite({**SUITE, "search": {"space": WIDTH, **search}}))
    assert asked.columns
