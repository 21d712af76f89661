from __future__ import annotations

import re

from bench.report.figures.style import INK, PAPER
from bench.report.svg import inline

SVG = f"""<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">
 <metadata>who made it</metadata>
 <defs><path id="m1" style="fill: {PAPER}"/><clipPath id="p1"/></defs>
 <g id="axes_1" clip-path="url(#p1)"><use xlink:href="#m1" style="stroke: {INK}"/></g>
 <text>&lt;b&gt; id="x" {INK}</text>
</svg>""".encode()


def test_ids_are_the_figures_own_and_references_follow() -> None:
    text = str(inline(SVG, "cost", "Score"))
    assert set(re.findall(r' id="([^"]+)"', text.partition("<text>")[0])) == {
        *("cost-m1", "cost-p1", "cost-axes_1")
    }
    assert "url(#cost-p1)" in text
    assert 'xlink:href="#cost-m1"' in text
    assert "who made it" not in text
    assert text.startswith("<svg ")


def test_colours_follow_the_page_and_texts_stay() -> None:
    text = str(inline(SVG, "cost", 'A "title"'))
    assert "fill: var(--paper)" in text
    assert "stroke: var(--ink)" in text
    assert f'&lt;b&gt; id="x" {INK}</text>' in text
    assert 'aria-label="A &quot;title&quot;"' in text
