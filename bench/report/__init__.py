"""Frames, tables, figures and pages: pure functions of the records."""

from __future__ import annotations

FORMATS = ("md", "csv", "latex", "html")
"""What a report can be written as."""

VERDICTS = ("worse", "slower", "failed", "unclear", "better", "faster")
"""What a comparison of two runs can find that a gate may be set on."""
