from __future__ import annotations

from typing import Any

from bench.api import plan
from bench.smoke import BATCH_SIZE, LIMIT, STEPS, TIMED_BATCH_SIZE


def test_every_variant_once_a_few_steps_on_little_data(suite: dict[str, Any]) -> None:
    suite |= {
        "seeds": [7, 9],
        "timing": {"batch_sizes": [16, 64], "modes": ["train"]},
        "dataset": {"name": "glyphs", "word_dropout": 0.5},
        "sweep": [{"sharing": ["hard", "separate"], "train.batch_size": [8, 4096]}],
    }
    whole, small = plan(suite), plan(suite, smoke=True)
    assert [v.name for v in small.variants] == [v.name for v in whole.variants]
    assert small.suite.name == "small-smoke"
    assert small.suite.seeds == (7,)
    assert small.suite.timing is not None
    assert small.suite.timing.batch_sizes == (TIMED_BATCH_SIZE,)
    for variant in small.variants:
        assert variant.config["dataset"]["limit"] == LIMIT
        assert variant.config["train"]["max_steps"] == STEPS
        assert variant.config["train"]["batch_size"] <= BATCH_SIZE


def test_what_is_small_already_stays(suite: dict[str, Any]) -> None:
    suite["dataset"]["limit"] = 60
    suite["train"] |= {"max_steps": 2, "batch_size": 8}
    config = plan(suite, smoke=True).variants[0].config
    assert config["dataset"]["limit"] == 60
    assert (config["train"]["max_steps"], config["train"]["batch_size"]) == (2, 8)


def test_a_long_name_stays_a_name(suite: dict[str, Any]) -> None:
    suite["name"] = "a" * 100
    assert len(plan(suite, smoke=True).suite.name) <= 100
