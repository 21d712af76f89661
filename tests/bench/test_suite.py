"""Suites of the right shape: what is read from them."""

from __future__ import annotations

from typing import Any

import pytest

from bench.errors import InputError
from bench.suite import load_suite, put, target_of


def test_what_is_left_out_has_its_default() -> None:
    suite = load_suite({"name": "a", "dataset": "glyphs"})
    assert (suite.question, suite.seeds, suite.sweep, suite.baseline) == ("", (0,), (), ())
    assert suite.timing is not None
    assert (suite.timing.batch_sizes, suite.timing.modes) == ((), ("train", "inference"))


def test_the_short_form_belongs_to_the_model() -> None:
    suite = load_suite({"name": "a", "dataset": "glyphs", "model": {"width": 8}, "fusion": "sum"})
    assert suite.base == {"dataset": "glyphs", "model": {"width": 8, "fusion": "sum"}}
    assert suite.sources == {("model", "fusion"): ("fusion",)}
    assert target_of("encoders.image.channels") == ("model", "encoders", "image", "channels")
    assert target_of("train.epochs") == ("train", "epochs")


@pytest.mark.parametrize(("seeds", "read"), [(3, (0, 1, 2)), ([7, 5], (7, 5))])
def test_seeds_are_a_number_of_them_or_a_list(seeds: Any, read: tuple[int, ...]) -> None:
    assert load_suite({"name": "a", "dataset": "glyphs", "seeds": seeds}).seeds == read


def test_timing_can_be_off() -> None:
    assert load_suite({"name": "a", "dataset": "glyphs", "timing": "off"}).timing is None


def test_a_mapping_is_copied_and_its_tuples_are_lists() -> None:
    source = {"name": "a", "dataset": "glyphs", "sweep": ({"fusion": ("sum", "concat")},)}
    suite = load_suite(source)
    assert suite.sweep[0][0].values == ("sum", "concat")
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


def test_put_makes_a_mapping_of_a_name_and_leaves_its_source_alone() -> None:
    model = {"fusion": "gated"}
    config: dict[str, Any] = {"model": model}
    put(config, ("model", "fusion", "gate"), "image")
    put(config, ("train", "epochs"), 3)
    fusion = {"name": "gated", "gate": "image"}
    assert config == {"model": {"fusion": fusion}, "train": {"epochs": 3}}
    assert model == {"fusion": "gated"}


@pytest.mark.parametrize("inner", [2, None, ["image"], True])
def test_put_refuses_to_go_inside_a_value(inner: Any) -> None:
    with pytest.raises(ValueError, match=r"^nothing can be set inside 'train.epochs'; it is "):
        put({"train": {"epochs": inner}}, ("train", "epochs", "x"), 1)
