from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.execution import shared
from bench.execution.shared import SPLITS, folder_of_run, shared_data
from mtmm.data import DATASETS

GLYPHS: dict[str, Any] = {"name": "glyphs", "word_dropout": 0.5, "limit": 60, "seed": 0}


def test_what_is_mapped_is_what_was_built(tmp_path: Path) -> None:
    built = DATASETS["glyphs"](word_dropout=0.5, limit=60, seed=0)
    mapped = shared_data(GLYPHS, tmp_path)
    assert (mapped.modalities, mapped.tasks) == (built.modalities, built.tasks)
    assert mapped.fingerprint == built.fingerprint
    for split in SPLITS:
        one, other = getattr(mapped, split), getattr(built, split)
        for field in fields(one):
            values = getattr(other, field.name)
            assert set(getattr(one, field.name)) == set(values)
            for name, value in getattr(one, field.name).items():
                assert value.dtype == values[name].dtype
                assert value.equal(values[name])


def test_it_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared_data(GLYPHS, tmp_path)

    def build_again(*_: Any) -> None:
        raise AssertionError("built again")

    monkeypatch.setattr(shared, "_save", build_again)
    shared_data(GLYPHS, tmp_path)
    with pytest.raises(AssertionError, match="built again"):
        shared_data({**GLYPHS, "limit": 80}, tmp_path)


def test_a_build_that_fails_leaves_nothing_to_be_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(OSError, match="No space"):
            shared_data(GLYPHS, tmp_path)
    assert not list(tmp_path.glob("*.pt"))
    assert len(shared_data(GLYPHS, tmp_path).train)


def test_the_folder_of_a_killed_run_goes_with_the_next_and_that_of_a_running_one_stays(
    tmp_path: Path,
) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from bench.execution.shared import folder_of_run\n"
        "with folder_of_run(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'data').write_text('much')\n"
        "    print(folder, flush=True)\n"
        "    time.sleep(1000)"
    )
    root = str(Path(__file__).resolve().parents[3])
    killed = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    with killed:
        assert killed.stdout is not None
        left = Path(killed.stdout.readline().strip())
        with folder_of_run(tmp_path) as mine:
            assert left.exists()
            killed.send_signal(signal.SIGKILL)
            killed.wait()
            with folder_of_run(tmp_path) as other:
                assert not left.exists()
                assert mine.exists()
                assert other.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
