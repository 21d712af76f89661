from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mtmm.blame import blame, place_of
from mtmm.fusion import FUSIONS


def raised(function: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        function()
    return caught.value


def _missing() -> None:
    Path("/nowhere/at all").read_text()


def _no_json() -> None:
    json.loads("{")


def _refused() -> None:
    FUSIONS["gated"]({"a": 1}, 2)


def _our_code() -> None:
    FUSIONS["sum"](None, 2)  # type: ignore[arg-type]


def _two_lines() -> None:
    raise RuntimeError("one\ntwo")


def _silent() -> None:
    raise ValueError


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (_missing, "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere/at all'"),
        (_no_json, "JSONDecodeError: Expecting property name enclosed in double quotes: line"),
        (_our_code, "TypeError: 'NoneType' object is not iterable"),
        (_two_lines, "RuntimeError: one two"),
        (_silent, "ValueError:"),
    ],
)
def test_what_was_raised_and_the_innermost_line_of_a_users_code(
    function: Callable[[], object], text: str
) -> None:
    error = raised(function)
    line = function.__code__.co_firstlineno + 1
    assert place_of(error) == (Path(__file__), line)
    assert blame(error).startswith(text)
    assert blame(error).endswith(f" ({__file__}:{line})")


def test_a_value_error_speaks_for_itself() -> None:
    assert blame(raised(_refused)) == "fuses two modalities; found 1"


def test_code_of_the_project_python_and_packages_has_no_place() -> None:
    error = raised(lambda: exec(compile("1 / 0", "<string>", "exec"), {}))
    assert error.__traceback__ is not None
    error.__traceback__ = error.__traceback__.tb_next.tb_next.tb_next  # type: ignore[union-attr]
    assert place_of(error) is None
    assert blame(error) == "ZeroDivisionError: division by zero"
