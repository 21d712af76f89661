"""Suites of the right shape: what is read from them."""

from __future__ import annotations

from typing import Any

import pytest

from bench.conditions import Family
from bench.errors import InputError
from bench.suite import Given, load_suite, parse_given


def test_what_is_left_out_has_its_default() -> None:
    suite = load_suite({"name": "a", "dataset": "glyphs"})
    assert (suite.question, suite.seeds, suite.sweep, suite.baseline) == ("", (0,), (), ())
    assert (suite.replacements, suite.removals, suite.exclusions) == ((), (), ())
    assert suite.family == Family(excepted=(), best=())
    assert (suite.single_task, suite.max_params, suite.smoke) == ("auto", 10**9, False)
    assert suite.timing is not None
    assert (suite.timing.batch_sizes, suite.timing.modes) == ((), ("train", "inference"))


def test_the_short_form_belongs_to_the_model() -> None:
    suite = load_suite({"name": "a", "dataset": "glyphs", "model": {"width": 8}, "fusion": "sum"})
    assert suite.base == {"dataset": "glyphs", "model": {"width": 8, "fusion": "sum"}}
    assert suite.sources == {("model", "fusion"): ("fusion",)}


@pytest.mark.parametrize(("seeds", "read"), [(3, (0, 1, 2)), ([7, 5], (7, 5))])
def test_seeds_are_a_number_of_them_or_a_list(seeds: Any, read: tuple[int, ...]) -> None:
    assert load_suite({"name": "a", "dataset": "glyphs", "seeds": seeds}).seeds == read


def test_timing_can_be_off() -> None:
    assert load_suite({"name": "a", "dataset": "glyphs", "timing": "off"}).timing is None


def test_a_mapping_is_copied_and_its_tuples_are_lists() -> None:
    source = {"name": "a", "dataset": "glyphs", "sweep": ({"fusion": ("sum", "concat")},)}
    suite = load_suite(source)
    ((axis,),) = suite.sweep
    assert [override.value for (override,) in axis] == ["sum", "concat"]
    assert suite.document.value is not source


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({1: 2}, "<suite>:1: (top level): a key must be a word; found the whole number 1"),
        (
            {"sweep": [{2: [3]}]},
            "<suite>:1: sweep[0]: a key must be a word; found the whole number 2",
        ),
        ({"question": b"x"}, "<suite>:1: question: must be plain data; found bytes b'x'"),
        (
            {"seeds": 10**5000},
            "<suite>:1: seeds: a whole number of this size does not fit into 64 bits",
        ),
        ({"question": "\ud800"}, "<suite>:1: question: half a surrogate pair is no text"),
    ],
)
def test_a_mapping_that_no_file_could_hold(change: dict[Any, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_suite({"name": "a", "dataset": "glyphs", **change})
    assert str(caught.value) == message


def test_a_mapping_inside_itself() -> None:
    source: dict[str, Any] = {"name": "a", "dataset": "glyphs"}
    source["train"] = source
    with pytest.raises(InputError, match="nested deeper than 32 levels"):
        load_suite(source)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("train.epochs=3", "train.epochs", 3),
        ("fusion=sum", "fusion", "sum"),
        ("fusion={name: gated, gate: text}", "fusion", {"name": "gated", "gate": "text"}),
        ("seeds=[1, 2]", "seeds", [1, 2]),
        ("question=a=b", "question", "a=b"),
        ("modalities=", "modalities", None),
    ],
)
def test_a_setting_of_the_command_line_is_written_as_in_a_file(
    text: str, key: str, value: Any
) -> None:
    given = parse_given(f"--set {text}", text)
    assert (given.option, given.key, given.value) == (f"--set {text}", key, value)


def test_what_is_given_overrules_the_file_wherever_it_says_it() -> None:
    source = {
        "name": "a",
        "dataset": "glyphs",
        "model": {"fusion": "gated", "width": 8},
        "sharing": "hard",
        "timing": "off",
        "seeds": 4,
    }
    given = {
        "fusion": "sum",
        "model.sharing": "separate",
        "encoders.image": "lenet",
        "train.epochs": 2,
        "timing.budget_s": 3.0,
        "seeds": 1,
        "baseline.fusion": "sum",
    }
    suite = load_suite(source, [Given(f"--set {key}", key, item) for key, item in given.items()])
    assert suite.base["model"] == {
        "fusion": "sum",
        "width": 8,
        "sharing": "separate",
        "encoders": {"image": "lenet"},
    }
    assert suite.base["train"] == {"epochs": 2, "optimizer": "adamw", "schedule": "constant"}
    assert suite.timing is not None
    assert suite.timing.budget_s == 3.0
    assert (suite.seeds, suite.baseline[0].value) == ((0,), "sum")
    assert source["model"] == {"fusion": "gated", "width": 8}
