from __future__ import annotations

from pathlib import Path

from bench.reference import KINDS, kind_text, reference_page
from mtmm.settings import settings_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference_page()


def test_every_component_and_setting_is_on_it() -> None:
    page = reference_page()
    for kind, registry in KINDS.items():
        for name, component in registry.items():
            assert f"### {kind} `{name}`" in page
            for setting in settings_of(component):
                assert f"| `{setting}` |" in page


def test_the_text_of_a_kind_has_a_line_for_each_component() -> None:
    lines = kind_text("fusion").splitlines()
    assert lines[0] == "fusion:"
    assert [line.split(":")[0].strip() for line in lines if line[2:3] != " "][1:] == sorted(
        KINDS["fusion"]
    )
    assert "      gate: a word naming a modality or null; default null" in lines
    assert "plugin" in kind_text("model")
