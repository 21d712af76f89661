"""`profile`: what a step of training spends its time on."""

from __future__ import annotations

import json
from pathlib import Path

from bench.errors import OK
from bench.profiling.summary import summarise
from bench.profiling.text import summary_text
from bench.profiling.trace import read_trace


def profile_trace(path: Path, as_json: bool) -> int:
    """Print what a trace file of the PyTorch profiler tells, of whatever program it is."""
    told = summarise(read_trace(path))
    print(json.dumps(told, indent=1, ensure_ascii=False) if as_json else summary_text(told))
    return OK
