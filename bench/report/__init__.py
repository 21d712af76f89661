"""Frames, tables and figures: pure functions of the records."""
