from __future__ import annotations

from typing import Annotated, Any

import pytest

from mtmm.registry import raise_for, resolve, resolve_settings, settings_in
from mtmm.settings import Component, ConfigError, Problem, Range, dotted


class Film:
    def __init__(
        self, *, dropout: Annotated[float, Range(low=0, below=1)] = 0.0, gate: str | None = None
    ) -> None: ...


class Plain:
    pass


REGISTRY: dict[str, Component] = {"film": Film, "plain": Plain}
PLACE = ("model", "fusion")


def _problems(value: object) -> list[tuple[str, str]]:
    problems: list[Problem] = []
    resolve("fusion", REGISTRY, value, PLACE, problems)
    assert not any(problem.combination for problem in problems)
    return [(dotted(problem.path), problem.message) for problem in problems]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", {"name": "plain"}),
        ("film", {"name": "film", "dropout": 0.0, "gate": None}),
        ({"name": "film"}, {"name": "film", "dropout": 0.0, "gate": None}),
        ({"gate": "a", "name": "film"}, {"name": "film", "dropout": 0.0, "gate": "a"}),
    ],
)
def test_a_component_by_name_or_mapping_with_its_defaults(
    value: object, expected: dict[str, Any]
) -> None:
    problems: list[Problem] = []
    resolved = resolve("fusion", REGISTRY, value, PLACE, problems)
    assert problems == []
    assert resolved == expected
    assert list(resolved) == list(expected)


def test_whole_numbers_resolve_as_the_floats_they_stand_for() -> None:
    problems: list[Problem] = []
    resolved = resolve("fusion", REGISTRY, {"name": "film", "dropout": 0}, PLACE, problems)
    assert type(resolved["dropout"]) is float


def test_the_value_given_is_left_as_it_was() -> None:
    value = {"name": "film", "dropout": 0}
    resolve("fusion", REGISTRY, value, PLACE, [])
    assert value == {"name": "film", "dropout": 0}


def test_an_unknown_name() -> None:
    text = "unknown fusion 'flim'; did you mean 'film'? (there are: film, plain)"
    assert _problems("flim") == [("model.fusion", text)]
    assert _problems({"name": "flim", "dropout": 2}) == [("model.fusion.name", text)]
    assert _problems("xyz") == [("model.fusion", "unknown fusion 'xyz' (there are: film, plain)")]


def test_no_name() -> None:
    text = "a fusion needs `name`, one of: film, plain"
    assert _problems({"dropout": 0.1}) == [("model.fusion", text)]
    assert _problems({"name": 3}) == [("model.fusion.name", text)]


def test_neither_name_nor_mapping() -> None:
    text = "must be the name of a fusion or a mapping with `name`; found "
    assert _problems(3) == [("model.fusion", text + "the whole number 3")]
    assert _problems(None) == [("model.fusion", text + "null")]


def test_all_mistakes_at_once_with_their_paths() -> None:
    assert _problems({"name": "film", "drop": 0.1, "dropout": 1.5, "gate": 3}) == [
        (
            "model.fusion.drop",
            "unknown setting 'drop' of fusion 'film'; did you mean 'dropout'?"
            " (it has: dropout, gate)",
        ),
        (
            "model.fusion.dropout",
            "`dropout` of fusion 'film' must be a number at least 0 and below 1;"
            " found the number 1.5",
        ),
        (
            "model.fusion.gate",
            "`gate` of fusion 'film' must be a word; found the whole number 3",
        ),
    ]


def test_a_component_without_settings_has_none_to_set() -> None:
    text = "unknown setting 'dropout' of fusion 'plain' (it has: none)"
    assert _problems({"name": "plain", "dropout": 0.1}) == [("model.fusion.dropout", text)]


def test_settings_without_a_registry() -> None:
    problems: list[Problem] = []
    assert resolve_settings("model", Film, {"gate": "a"}, (), problems) == {
        "dropout": 0.0,
        "gate": "a",
    }
    assert problems == []


def test_settings_in_are_all_but_the_name() -> None:
    assert settings_in({"name": "film", "gate": None}) == {"gate": None}


def test_raise_for() -> None:
    raise_for([])
    problem = Problem(PLACE, "is wrong")
    with pytest.raises(ConfigError, match=r"^model\.fusion: is wrong$") as caught:
        raise_for([problem])
    assert caught.value.problems == (problem,)
