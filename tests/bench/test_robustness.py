from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
import torch

from bench.api import plan
from bench.errors import InputError
from bench.robustness import Condition, conditions, shapley, subsets, told
from bench.training import train
from mtmm.heads.judging import objectives
from mtmm.spec import DataBundle, Task

CPU = torch.device("cpu")


def test_every_proper_subset_of_up_to_five_modalities() -> None:
    assert subsets("all", ["a", "b"]) == [("a",), ("b",)]
    assert len(subsets("all", list("abcde"))) == 2**5 - 2
    assert subsets("all", list("abcdef")) == list(itertools.combinations("abcdef", 5))
    assert subsets([["a"], ["a", "b"]], ["a", "b", "c"]) == [("a",), ("a", "b")]
    assert subsets(None, ["a", "b"]) == []


def test_shapley_values_are_mean_gains_over_all_orders() -> None:
    names = ["a", "b", "c"]
    random = torch.Generator().manual_seed(0)
    scores = {
        frozenset(chosen): float(torch.rand((), generator=random))
        for size in (1, 2)
        for chosen in itertools.combinations(names, size)
    }
    whole = 0.9
    value = {**scores, frozenset(names): whole, frozenset(): 0.0}
    expected = dict.fromkeys(names, 0.0)
    for order in itertools.permutations(names):
        for place, name in enumerate(order):
            before = frozenset(order[:place])
            expected[name] += (value[before | {name}] - value[before]) / 6
    found = shapley(scores, whole, names)
    assert found == pytest.approx(expected)
    assert sum(found.values()) == pytest.approx(whole)
    assert shapley({frozenset("a"): 0.1}, whole, names) == {}


def _asking(config: dict[str, Any], **asked: Any) -> dict[str, Any]:
    nothing = {"subsets": None, "missing": None, "noise": None}
    return {**copy.deepcopy(config), "robustness": {**nothing, **asked}}


@pytest.fixture(scope="module")
def result(config: dict[str, Any], bundle: DataBundle) -> dict[str, Any]:
    asked = _asking(config, subsets="all", missing=[0.0, 0.9], noise=[0.0, 100.0])
    return train(asked, bundle, seed=0, device=CPU)


def test_nothing_taken_away_scores_what_the_test_split_does(result: dict[str, Any]) -> None:
    told = result["robustness"]["conditions"]
    for name in ("missing.0", "noise.image.0"):
        assert told[name] == {"score": result["scores"]["test"], "tasks": result["test"]}
    assert told["missing.0.9"]["tasks"] != result["test"]
    assert told["noise.image.100"]["tasks"] != result["test"]


def test_noise_is_for_real_numbers(result: dict[str, Any]) -> None:
    named = {name for name in result["robustness"]["conditions"] if name.startswith("noise")}
    assert named == {"noise.image.0", "noise.image.100"}


def test_the_parts_sum_to_the_score(result: dict[str, Any]) -> None:
    parts = result["robustness"]["shapley"]
    assert list(parts) == ["image", "text"]
    assert sum(parts.values()) == pytest.approx(result["scores"]["test"])


def test_training_is_the_same_with_and_without(
    config: dict[str, Any], bundle: DataBundle, result: dict[str, Any]
) -> None:
    plain = train(config, bundle, seed=0, device=CPU)
    assert "robustness" not in plain
    for key in ("test", "val", "scores", "epochs"):
        assert plain[key] == result[key]


def test_separate_paths_are_each_judged_at_their_epoch(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    asked = _asking(config, subsets="all", missing=[0.0])
    asked["model"]["sharing"] = {"name": "separate"}
    found = train(asked, bundle, seed=0, device=CPU)
    assert found["robustness"]["conditions"]["missing.0"]["tasks"] == found["test"]


def test_a_subset_scores_what_its_model_does_without_the_rest(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    asked = _asking(config, subsets=[["image"]])
    (condition,) = conditions(asked, bundle, seed=0)
    assert condition.name == "only.image"


def test_rates_that_differ_little_are_conditions_of_their_own(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    asked = _asking(config, missing=[0.3, 0.30000001, 0.0])
    names = [condition.name for condition in conditions(asked, bundle, seed=0)]
    assert names == ["missing.0.3", "missing.0.30000001", "missing.0"]


def test_names_of_modalities_may_hold_any_sign() -> None:
    names = ["a+b", "c.d"]
    asked = [Condition(f"only.{name}", lambda batch, _: batch, 0, (name,)) for name in names]
    judged = objectives((Task(name="t", kind="classification", classes=2),))
    constant = {"t": {"accuracy": 0.5, "balanced_accuracy": 0.5, "loss": 1.0}}
    measures = {
        condition.name: {"t": {**constant["t"], "accuracy": value}}
        for condition, value in zip(asked, (0.7, 0.6), strict=True)
    }
    found = told(asked, measures, 0.8, judged, constant, names)
    assert found["shapley"] == pytest.approx({"a+b": 0.5, "c.d": 0.3})


def test_modality_dropout_trains_otherwise_and_repeats(
    config: dict[str, Any], bundle: DataBundle
) -> None:
    dropped = copy.deepcopy(config)
    dropped["train"]["modality_dropout"] = 0.5
    plain, first, again = (train(c, bundle, seed=0, device=CPU) for c in (config, dropped, dropped))
    assert first["curve"] == again["curve"]
    assert first["curve"][0]["loss"] != plain["curve"][0]["loss"]


@pytest.mark.parametrize(
    ("robustness", "message"),
    [
        ({"subsets": [["image", "txt"]]}, "unknown modality 'txt'; did you mean 'text'?"),
        ({"subsets": [[]]}, "`subsets` must name one or more, none of them empty and none twice"),
        ({"subsets": [["image", "image"]]}, "`subsets` must name one or more, none of them"),
        ({"subsets": [["image"], ["image"]]}, "`subsets` must name one or more, none of them"),
        ({"subsets": "every"}, "`subsets` of robustness must be"),
        ({"missing": [1.0]}, "`missing` of robustness: item 0 must be a number at least 0 and"),
        ({"missing": []}, "`missing` must name one or more"),
        ({"noise": [-1]}, "`noise` of robustness: item 0 must be a number at least 0"),
        ({"noize": [1]}, "unknown setting 'noize' of robustness; did you mean 'noise'?"),
        ("all", "robustness: must be a mapping"),
    ],
)
def test_what_is_asked_wrongly_is_told(
    suite: dict[str, Any], robustness: object, message: str
) -> None:
    with pytest.raises(InputError) as error:
        plan({**suite, "robustness": robustness})
    assert message in str(error.value)


def test_what_says_nothing_of_a_variant_is_left_out(suite: dict[str, Any]) -> None:
    asked = {"subsets": [["text", "image"], ["image"]], "missing": [0.5], "noise": [1]}
    suite |= {"robustness": asked, "sweep": [{"modalities": [["image"], ["image", "text"]]}]}
    suite["train"]["modality_dropout"] = 0.2
    by_modalities = {tuple(v.config["modalities"]): v.config for v in plan(suite).variants}
    both, alone = by_modalities["image", "text"], by_modalities["image",]
    assert both["robustness"] == {"subsets": [["image"]], "missing": [0.5], "noise": [1]}
    assert alone["robustness"] == {"subsets": None, "missing": None, "noise": [1]}
    assert both["train"]["modality_dropout"] == 0.2
    assert alone["train"]["modality_dropout"] == 0.0


def test_what_is_asked_after_training_changes_no_timing(suite: dict[str, Any]) -> None:
    timed = plan({**suite, "timing": {}})
    asked = plan({**suite, "timing": {}, "robustness": {"subsets": "all"}})
    assert [arm.id for arm in timed.arms.values()] == [arm.id for arm in asked.arms.values()]
