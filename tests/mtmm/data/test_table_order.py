"""What was decoded belongs to its row, whatever table of the same files was decoded before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import wavfile
from torch import Tensor

from mtmm.data.table import build, describe
from mtmm.spec import DataBundle, in_memory
from tests.tables import write_table

PARTS = ("train", "train", "train", "val", "test")
KINDS: dict[str, dict[str, Any]] = {
    "png": {"kind": "image", "size": 8, "channels": 1},
    "wav": {"kind": "audio", "rate": 8000, "seconds": 0.1, "bands": 4},
}
ORDERS: dict[str, tuple[int | None, ...]] = {
    "another order": (4, 3, 2, 1, 0),
    "one file of two rows": (0, 1, 2, 3, 4, 0, 4),
    "one file of all rows": (2, 2, 2, 2, 2),
    "a cell that is missing": (0, None, 1, 2, 3, 4),
    "another cell that is missing": (0, 1, 2, None, 3, 4),
}
"""The number of the file in each row."""


@pytest.fixture(params=KINDS)
def ending(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The kind of files, of which there are five, each louder or brighter than the one before."""
    for i in range(5):
        Image.new("L", (8, 8), 40 * i + 20).save(tmp_path / f"{i}.png")
        noise = np.random.default_rng(0).integers(-900, 900, 800) * (3 * i + 1)
        wavfile.write(tmp_path / f"{i}.wav", 8000, noise.astype(np.int16))
    return str(request.param)


def settings(folder: Path, ending: str, order: tuple[int | None, ...]) -> dict[str, Any]:
    file = write_table(
        folder,
        path=[None if i is None else f"{i}.{ending}" for i in order],
        level=[0 if i is None else i for i in order],
        part=[PARTS[row % 5] for row in range(len(order))],
    )
    return {
        "file": file,
        "inputs": {"x": {**KINDS[ending], "column": "path"}},
        "tasks": {"level": {"kind": "regression", "column": "level"}},
        "split": {"column": "part"},
    }


def tensors(made: DataBundle) -> list[Tensor]:
    batches = [in_memory(part) for part in (made.train, made.val, made.test)]
    return [x for one in batches for x in (one.inputs["x"], one.present["x"])]


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_the_cache_gives_what_decoding_gives(
    order: tuple[int | None, ...], ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in ((0, 1, 2, 3, 4), (None, 0, 1, 2, 3, 4)):
        monkeypatch.setenv("MTMM_CACHE", str(tmp_path / f"of {len(other)}"))
        build(**settings(tmp_path, ending, other))
        found = tensors(build(**settings(tmp_path, ending, order)))
        monkeypatch.setenv("MTMM_CACHE", str(tmp_path / f"fresh of {len(other)}"))
        decoded = tensors(build(**settings(tmp_path, ending, order)))
        for x, y in zip(found, decoded, strict=True):
            torch.testing.assert_close(x, y, rtol=0, atol=0)


def test_the_same_table_is_decoded_once(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTMM_CACHE", str(tmp_path / "cache"))
    for _ in range(2):
        build(**settings(tmp_path, ending, (0, 1, 2, 3, 4)))
    assert len(list((tmp_path / "cache").glob("*.pt"))) == 1


def test_rows_in_another_order_are_another_data_set(ending: str, tmp_path: Path) -> None:
    orders = ((0, 1, 2, 3, 4), *ORDERS.values())
    told = {describe(**settings(tmp_path, ending, order)).fingerprint for order in orders}
    assert len(told) == len(orders)
