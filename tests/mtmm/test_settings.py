from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Optional

import pytest

from mtmm.data import DATASETS
from mtmm.data.base import Dataset
from mtmm.encoders.lstm import LSTM
from mtmm.settings import (
    ConfigError,
    Problem,
    Range,
    Setting,
    check,
    describe_type,
    dotted,
    found,
    listed,
    nearest,
    own_settings_of,
    settings_of,
)
from mtmm.spec import DataBundle, Description
from mtmm.weighting.equal import Equal
from mtmm.weighting.static import Static
from mtmm.weighting.usage import usage

Share = Annotated[float, Range(low=0, below=1)]
Count = Annotated[int, Range(low=1)]


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (bool, True),
        (int, 3),
        (float, 0.5),
        (str, "a"),
        (Count, 1),
        (Share, 0.0),
        (Literal["a", "b"], "b"),
        (Literal[1, 2], 2),
        (list[int], [1, 2]),
        (list[int], []),
        (list[list[str]], [["a"], []]),
        (int | None, None),
        (Optional[int], 4),  # noqa: UP045 (typing.Union and | are different types)
        (str | int, "a"),
        (str | int, 4),
        (list[Count] | None, [1, 2]),
    ],
)
def test_a_right_value_is_returned_as_it_is(annotation: Any, value: object) -> None:
    checked, problem = check(annotation, value)
    assert problem is None
    assert checked == value
    assert type(checked) is type(value)


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (float, 3, 3.0),
        (Share, 0, 0.0),
        (list[float], [1, 0.5], [1.0, 0.5]),
        (float | None, 2, 2.0),
        (str | float, 2, 2.0),
    ],
)
def test_a_whole_number_becomes_a_float(annotation: Any, value: object, expected: object) -> None:
    checked, problem = check(annotation, value)
    assert problem is None
    assert repr(checked) == repr(expected)


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (int, True, "must be a whole number; found true"),
        (int, 3.0, "must be a whole number; found the number 3.0"),
        (int, "3", "must be a whole number; found the word '3'"),
        (float, False, "must be a number; found false"),
        (float, "1e-3", "must be a number; found the word '1e-3'"),
        (float, None, "must be a number; found null"),
        (float, math.nan, "must be finite; found the number nan"),
        (float, math.inf, "must be finite; found the number inf"),
        (float, -math.inf, "must be finite; found the number -inf"),
        (Share, math.nan, "must be finite; found the number nan"),
        (bool, 1, "must be true or false; found the whole number 1"),
        (bool, None, "must be true or false; found null"),
        (str, 1, "must be a word; found the whole number 1"),
        (str, ["a"], "must be a word; found the list ['a']"),
        (str, {"a": 1}, "must be a word; found the mapping {'a': 1}"),
        (Count, 0, "must be a whole number at least 1; found the whole number 0"),
        (Count, True, "must be a whole number; found true"),
        (Share, 1, "must be a number at least 0 and below 1; found the whole number 1"),
        (Share, -0.1, "must be a number at least 0 and below 1; found the number -0.1"),
        (Literal["a", "b"], "c", "must be one of a, b; found the word 'c'"),
        (Literal["a", "b"], ["a"], "must be one of a, b; found the list ['a']"),
        (Literal[1, 2], True, "must be one of 1, 2; found true"),
        (Literal[1, 2], 1.0, "must be one of 1, 2; found the number 1.0"),
        (list[int], 3, "must be a list of (a whole number); found the whole number 3"),
        (list[int], (1,), "must be a list of (a whole number); found (1,)"),
        (list[int], [1, True], "item 1 must be a whole number; found true"),
        (list[Share], [2.0], "item 0 must be a number at least 0 and below 1"),
        (list[float], [0.0, math.nan], "item 1 must be finite"),
        (Count | None, 0, "must be a whole number at least 1; found the whole number 0"),
        (int | None, True, "must be a whole number; found true"),
        (str | int, 1.5, "must be a word or a whole number; found the number 1.5"),
        (str | int | None, 1.5, "must be a word or a whole number or null; found the number 1.5"),
    ],
)
def test_a_wrong_value_is_named_with_its_rule(annotation: Any, value: object, message: str) -> None:
    checked, problem = check(annotation, value)
    assert problem is not None
    assert problem.startswith(message)
    assert checked is value or checked == pytest.approx(value, nan_ok=True)


def test_a_whole_number_too_large_for_a_float_is_refused() -> None:
    assert check(float, 10**400)[1] is not None
    assert check(Share, 10**400)[1] is not None


@pytest.mark.parametrize(
    ("bounds", "inside", "outside", "text"),
    [
        (Range(low=0), [0, 5], [-1], "at least 0"),
        (Range(above=0), [1e-300, 5], [0, -1], "above 0"),
        (Range(high=2), [2, -5], [2.1], "at most 2"),
        (Range(below=2), [1.9], [2, 3], "below 2"),
        (Range(above=0, high=1), [0.5, 1], [0, 1.5], "above 0 and at most 1"),
        (Range(low=0, below=1), [0, 0.5], [1, -1], "at least 0 and below 1"),
    ],
)
def test_range(bounds: Range, inside: list[float], outside: list[float], text: str) -> None:
    assert all(value in bounds for value in inside)
    assert not any(value in bounds for value in outside)
    assert str(bounds) == text


def test_several_ranges_of_one_annotation_all_hold() -> None:
    both = Annotated[int, Range(low=1), Range(high=3)]
    assert check(both, 3) == (3, None)
    assert check(both, 0)[1] is not None
    assert check(both, 4)[1] is not None
    assert describe_type(both) == "a whole number at least 1 and at most 3"


def test_settings_of_a_class_are_its_keyword_only_arguments() -> None:
    class Component:
        def __init__(self, dims: int, *, drop: Share = 0.1, gate: str | None = None) -> None: ...

    assert list(settings_of(Component).values()) == [
        Setting("drop", Share, 0.1),
        Setting("gate", str | None, None),
    ]
    assert list(settings_of(LSTM)) == ["embedding", "hidden", "layers"]
    assert own_settings_of(Equal) == {}


def test_settings_of_a_function() -> None:
    def build(first: int = 1, *, seed: int = 0) -> None: ...

    assert settings_of(build) == {"seed": Setting("seed", int, 0)}


def test_settings_of_a_dataset_are_those_of_build() -> None:
    def build(*, limit: int | None = None, noise: float = 0.5) -> DataBundle:
        raise NotImplementedError

    def describe(**settings: object) -> Description:
        raise NotImplementedError

    assert list(settings_of(Dataset(build, describe)).values()) == [
        Setting("limit", int | None, None),
        Setting("noise", float, 0.5),
    ]


@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_builds_and_describes_with_the_same_settings(name: str) -> None:
    dataset = DATASETS[name]
    assert settings_of(dataset.build) == settings_of(dataset.describe) == settings_of(dataset)


def test_a_setting_needs_an_annotation_and_a_default() -> None:
    def bare(*, drop=0.1): ...  # type: ignore[no-untyped-def]

    def required(*, drop: float) -> None: ...

    for component in (bare, required):
        with pytest.raises(TypeError, match=r"setting `drop` of .* needs an annotation"):
            settings_of(component)


def test_a_path_reads_as_it_is_written() -> None:
    assert dotted(("sweep", 0, "fusion", "name")) == "sweep[0].fusion.name"
    assert dotted(("seeds",)) == "seeds"
    assert dotted(()) == "(top level)"


def test_nearest_name() -> None:
    assert nearest("drop", ["dropout", "gate"]) == "; did you mean 'dropout'?"
    assert nearest("filn", ["concat", "film", "sum"]) == "; did you mean 'film'?"
    assert nearest("xyz", ["concat", "sum"]) == ""
    assert nearest(1, ["concat"]) == ""


def test_listed() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([]) == "none"


def test_a_long_value_is_cut() -> None:
    text = found("x" * 100)
    assert text.startswith("the word 'xxx")
    assert text.endswith("xxx...")
    assert len(text) == len("the word ") + 60


def test_config_error_names_every_problem_and_place() -> None:
    problems = [Problem(("model", "width"), "is wrong"), Problem((), "is empty")]
    error = ConfigError(problems)
    assert isinstance(error, ValueError)
    assert str(error) == "model.width: is wrong\n(top level): is empty"
    assert error.problems == tuple(problems)


def test_settings_that_all_of_a_kind_have_come_after_a_components_own() -> None:
    assert list(settings_of(Static)) == ["weights", *own_settings_of(usage)]
