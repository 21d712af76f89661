from __future__ import annotations

import pytest

from bench.lines import one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\n lines\t here ", "two lines here"),
        ("\x1b[31mred\x1b[0m", "[31mred [0m"),
        ("中 Δ", "中 Δ"),
        (3, "3"),
        ("\u202eback", "back"),
    ],
)
def test_nothing_that_a_terminal_would_act_on_is_left(text: object, shown: str) -> None:
    assert one_line(text) == shown
