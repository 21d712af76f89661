from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.document import DocumentError, parse, scalar


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


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 0x" + "f" * 5000, 2, "a whole number of this size does not fit into 64 bits"),
        ("a: 1\nb: " + "9" * 5000, 2, "a whole number of this size does not fit into 64 bits"),
        ("a: 1\nb: 9223372036854775808", 2, "a whole number of this size does not fit"),
        ('a: 1\nb: "\\ud800"', 2, "half a surrogate pair is no text"),
        ('a: 1\nb: "\\UFFFFFFFF"', 2, "cannot be read as YAML: "),
        ('a: 1\nb: "\\U00110000"', 2, "cannot be read as YAML: "),
        ("%YAML 1." + "1" * 5000 + "\n---\na: 1", 1, "cannot be read as YAML: "),
        ("a: 1\nb: ! 3", 2, "tags are not part of a suite; found '!'"),
        ("a: 1\n[1]: 3", 2, "a key must be a word"),
        ("a: 1\n? \n: 3", 2, "a key must be a word"),
        (
            'a: 1\nb: "c\nd: 3\n',
            4,
            "cannot be read as YAML: found unexpected end of stream "
            "(while scanning a quoted scalar that starts in line 2)",
        ),
        ("#" * 1_000_001, 1, "a suite has at most 1,000,000 characters"),
    ],
)
def test_what_is_refused_is_told_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse(text, "f")
    assert caught.value.line == line
    assert caught.value.problems[0].message.startswith(message)


def test_the_largest_whole_numbers() -> None:
    value = [2**63 - 1, -(2**63)]
    assert parse(f"a: {value}", "f").value == {"a": value}


@given(st.text(alphabet="ab0.1 \n\t:-[]{},'\"&*!?|>%#@\\uU\x00\ud800\u2028", max_size=40))
def test_any_text_is_a_document_or_a_message(text: str) -> None:
    with suppress(DocumentError):
        parse(text, "f")
