"""The frames of several suites as one, and as the bytes of a file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import InputError
from bench.report.frame import load_frame


def joined(folders: Sequence[Path]) -> pd.DataFrame:
    """The frames of these results one below the other; `suite` tells them apart."""
    frames = [load_frame(folder) for folder in folders]
    if len(frames) == 1:
        return frames[0]
    return pd.DataFrame([row for frame in frames for row in frame.to_dict("records")])


def as_csv(frame: pd.DataFrame) -> bytes:
    """UTF-8 with numbers in full precision and empty cells for what is missing.

    It is that of a report: a word is written as it is, whatever it begins with.
    """
    return frame.to_csv(index=False, lineterminator="\n").encode("utf-8", "replace")


def as_parquet(frame: pd.DataFrame) -> bytes:
    """Parquet with the columns of the frame, null for what is missing.

    A column of numbers, of words or of true and false keeps its values. One that mixes these has no
    type in Parquet and becomes text, `str` of each value, as in CSV. Raises InputError without
    pyarrow.
    """
    columns = {name: _of_one_type(frame[name]) for name in frame.columns}
    buffer = io.BytesIO()
    try:
        pd.DataFrame(columns).to_parquet(buffer, engine="pyarrow", index=False)
    except ImportError:
        text = "--to parquet needs pyarrow: pip install 'mtmm-bench[parquet]'"
        raise InputError(text) from None
    return buffer.getvalue()


def _of_one_type(column: pd.Series[Any]) -> pd.Series[Any]:
    if pd.api.types.is_numeric_dtype(column):  # and bool
        return column
    there = column.notna()
    values = column.astype(object)
    if {type(value) for value in values[there]} != {bool}:
        values = values.map(str)
    return values.where(there, None)
