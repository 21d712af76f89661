from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from bench.exporting.names import safe, shortened

ALLOWED, MOST = "A-Za-z0-9_.", 40


@given(st.text(max_size=60))
def test_every_name_becomes_one_that_is_allowed(name: str) -> None:
    made = safe(name, ALLOWED, MOST)
    assert re.fullmatch(rf"[A-Za-z0-9_][{ALLOWED}]*", made)
    assert len(made) <= MOST
    assert safe(name, ALLOWED, MOST) == made


@given(st.text("a.é/ \n\udcff", max_size=60), st.text("a.é/ \n\udcff", max_size=60))
def test_different_names_stay_different(one: str, other: str) -> None:
    if one.encode("utf-8", "replace") != other.encode("utf-8", "replace"):
        assert safe(one, ALLOWED, MOST) != safe(other, ALLOWED, MOST)


def test_a_name_that_is_allowed_stays() -> None:
    assert safe("test.digit.accuracy", ALLOWED, MOST) == "test.digit.accuracy"
    assert re.fullmatch(r"test\.a_b_[0-9a-f]{8}", safe("test.a b", ALLOWED, MOST))
    assert safe("a" * 41, ALLOWED, MOST).startswith("a" * 31 + "_")


def test_a_name_for_people_loses_its_middle() -> None:
    assert shortened("short", 5) == "short"
    assert shortened("0123456789", 5) == "01…89"
