from __future__ import annotations

import math
from typing import Any

import pytest

from bench.document import parse, scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("-2", -2),
        ("+7", 7),
        ("0o17", 15),
        ("0xff", 255),
        (".5", 0.5),
        ("1.", 1.0),
        ("-.inf", -math.inf),
        ("true", True),
        ("False", False),
        ("off", "off"),
        ("yes", "yes"),
        ("no", "no"),
        ("12:30", "12:30"),
        ("2026-11-24", "2026-11-24"),
        ("1_000", "1_000"),
        ("~", None),
        ("", None),
        ("null", None),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: Any) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)
    assert parse(f"a: {text}", "f").value == {"a": value}


def test_nan_and_quoted_words() -> None:
    assert math.isnan(scalar(".nan"))
    assert parse("a: ['1', \"true\", 'off']", "f").value == {"a": ["1", "true", "off"]}


def test_every_key_and_item_has_its_line() -> None:
    document = parse("a: 1\nb:\n  - c: 2\n    d: [3,\n      4]\n", "f")
    assert document.value == {"a": 1, "b": [{"c": 2, "d": [3, 4]}]}
    lines = {("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 0, "d"): 4, ("b", 0, "d", 1): 5}
    assert {path: document.line(path) for path in lines} == lines
    assert document.line(("b", 0, "missing", "deeper")) == 3
    assert document.line(()) == 1
