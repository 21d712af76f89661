from __future__ import annotations

import json
from pathlib import Path

from bench.report.index import write_index


def summary(folder: Path, **told: object) -> None:
    folder.mkdir(parents=True)
    plain = {"suite": folder.name, "question": "", "newest": "", "counts": "1 variant"}
    text = json.dumps({**plain, "verdict": ["One.", "Two."], **told})
    (folder / "summary.json").write_text(text, encoding="utf-8")


def test_suites_are_listed_the_newest_first_with_a_link_to_what_is_there(tmp_path: Path) -> None:
    summary(tmp_path / "old", newest="2026-01-01 10:00")
    summary(tmp_path / "new & odd", newest="2026-02-01 10:00", question="Why <b>?")
    (tmp_path / "new & odd" / "report.html").touch()
    (tmp_path / "old" / "report.md").touch()
    summary(tmp_path / "bare")
    text = write_index(tmp_path).read_text(encoding="utf-8")
    assert text.index("new &amp; odd</a>") < text.index("old</a>") < text.index("<h2>bare")
    assert 'href="new%20%26%20odd/report.html"' in text
    assert 'href="old/report.md"' in text
    assert "Why &lt;b&gt;?" in text
    assert "<p>One.</p>" in text


def test_what_is_no_summary_is_passed_over(tmp_path: Path) -> None:
    for name, content in (("a", "{"), ("b", "[]"), ("c", '{"suite": 1}'), ("d", '"x"')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "summary.json").write_text(content)
    summary(tmp_path / "good")
    text = write_index(tmp_path).read_text(encoding="utf-8")
    assert text.count("<section>") == 1
