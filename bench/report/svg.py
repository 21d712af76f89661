"""A figure's SVG as a part of a page: no ids but its own, colours that follow the page."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from markupsafe import Markup

from bench.report.figures.style import BLUE, INK, LINE, ORANGE, PAPER

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_THEME = {
    INK: "var(--ink)",
    LINE: "var(--line)",
    PAPER: "var(--paper)",
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
}


def inline(svg: bytes, name: str, title: str) -> Markup:
    """The `<svg>` element for a page that has several; raises ParseError where it is no XML."""
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    root = ElementTree.fromstring(svg)
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for element in root.iter():
        for key, value in element.attrib.items():
            element.set(key, _themed(_own(value, key, name)))
    root.set("role", "img")
    root.set("aria-label", title)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _own(value: str, key: str, name: str) -> str:
    """An id, or what refers to one, with the figure's name in front."""
    if key == "id":
        return f"{name}-{value}"
    if key in ("href", f"{{{_XLINK}}}href") and value.startswith("#"):
        return f"#{name}-{value[1:]}"
    return re.sub(r"url\(#", f"url(#{name}-", value)


def _themed(value: str) -> str:
    for colour, variable in _THEME.items():
        value = value.replace(colour, variable)
    return value
