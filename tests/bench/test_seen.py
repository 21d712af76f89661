from __future__ import annotations

from pathlib import Path

import pytest

from bench.seen import Seen
from bench.store import Store

RECORD = {"kind": "train", "status": "error", "reason": "it broke", "log": "logs/a.log", "seed": 0}


def test_a_record_is_read_once_until_it_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    seen = Seen(store)
    assert seen.outcome("a") is None
    store.write("a", RECORD)  # what was not there is looked for again
    outcome = {"status": "error", "reason": "it broke", "log": "logs/a.log"}
    assert seen.outcome("a") == outcome
    store.write("a", {**RECORD, "reason": "again"})
    assert seen.outcome("a") == outcome
    seen.forget(["a", "b"])
    assert seen.outcome("a") == {**outcome, "reason": "again"}
