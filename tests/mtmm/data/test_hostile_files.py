"""Files that a table names and that are not what they should be: told before they are opened."""

from __future__ import annotations

import os
import signal
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import wavfile

from mtmm.data.table import build
from mtmm.spec import in_memory
from tests.tables import what_is_wrong, write_table

IMAGE: dict[str, Any] = {"p": {"kind": "image", "column": "path", "size": 8, "channels": 1}}
AUDIO: dict[str, Any] = {"p": {"kind": "audio", "column": "path", "seconds": 0.1, "bands": 4}}
TASKS: dict[str, Any] = {"y": {"kind": "classification", "column": "y"}}
SPLIT: dict[str, Any] = {"column": "part"}


@pytest.fixture(autouse=True)
def _no_hang() -> Iterator[None]:
    """What waits for ever fails instead."""

    def fail(*_: object) -> None:
        pytest.fail("it hangs")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def table(folder: Path, paths: list[str], good: str) -> str:
    """These paths, and then good ones."""
    every = paths + [good] * 8
    part = ["train"] * len(paths) + ["train", "train", "val", "val", "test", "test", "test", "test"]
    return write_table(folder, path=every, y=[str(i % 2) for i in range(len(every))], part=part)


def png(width: int, height: int) -> bytes:
    """A file of fewer than a hundred bytes that claims to be that large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder inside another, with a good image and a good sound."""
    made = tmp_path / "in"
    made.mkdir()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(made / "ok.png")
    wavfile.write(made / "ok.wav", 8000, np.arange(800, dtype=np.int16))
    return made


def test_images_that_are_none(folder: Path) -> None:
    (folder / "bomb.png").write_bytes(png(60_000, 60_000))
    (folder / "large.png").write_bytes(png(12_000, 10_000))
    (folder / "empty.png").write_bytes(b"")
    (folder / "drawing.svg").write_text("<svg onload='alert(1)'/>")
    (folder.parent / "secret").write_text("password")
    Image.fromarray(np.ones((4, 4), dtype=np.float32)).save(folder / "float.tiff")
    os.mkfifo(folder / "pipe.png")
    os.symlink("loop.png", folder / "loop.png")
    wrong = {
        "bomb.png": "has more than 100,000,000 pixels",
        "large.png": "has 12000 × 10000 pixels, more than 100,000,000",
        "empty.png": "is no image that Pillow reads",
        "drawing.svg": "is no image that Pillow reads",
        "../secret": "is no image that Pillow reads",
        "float.tiff": "has pixels of 32 bits; 8 or 16 will do",
        "pipe.png": "is a pipe, a socket or a device",
        "loop.png": "cannot be a file: Too many levels of symbolic links",
        ".": "is a folder",
        "/dev/zero": "is a pipe, a socket or a device",
        "ok.png/x.png": "is not there",
        "x" * 5000: "cannot be a file: File name too long",
        "http://example.org/a.png": "is not there",
        "\x1b[31m.png": "is not there",
    }
    for path, why in wrong.items():
        told = what_is_wrong(
            table(folder, [path], "ok.png"), inputs=IMAGE, tasks=TASKS, split=SPLIT
        )
        assert told.endswith(f" {why})")
        assert "found 1 others (row 2: " in told
        assert "password" not in told
    told = what_is_wrong(table(folder, [*wrong], "ok.png"), inputs=IMAGE, tasks=TASKS, split=SPLIT)
    assert f"found {len(wrong)} others (row 2: 'bomb.png' has more than" in told


def test_sounds_that_are_none(folder: Path) -> None:
    os.mkfifo(folder / "pipe.wav")
    wavfile.write(folder / "silent.wav", 8000, np.zeros(0, dtype=np.int16))
    good = (folder / "ok.wav").read_bytes()
    for rate in (0, 2**31 - 1):
        claimed = good[:24] + struct.pack("<II", rate, 2 * rate) + good[32:]
        (folder / f"{rate}.wav").write_bytes(claimed)
    (folder / "cut.wav").write_bytes(good[:20])
    wrong = {
        "pipe.wav": "is a pipe",
        "silent.wav": "has no sample",
        "0.wav": "says that it has 0 samples a second",
        f"{2**31 - 1}.wav": "says that it has 2,147,483,647 samples a second",
        "cut.wav": "is no WAV file",
        "ok.png": "is no WAV file",
        "..": "is a folder",
    }
    for path, why in wrong.items():
        told = what_is_wrong(
            table(folder, [path], "ok.wav"), inputs=AUDIO, tasks=TASKS, split=SPLIT
        )
        assert f"found 1 others (row 2: '{path}' {why}" in told


def test_what_breaks_while_it_is_decoded_is_told_with_its_files(folder: Path) -> None:
    (folder / "cut.png").write_bytes(png(600, 600))
    file = table(folder, ["cut.png", "cut.png"], "ok.png")
    with pytest.raises(
        ValueError, match=r"2 images cannot be decoded: .*cut.png: image file is trunc"
    ):
        build(file=file, inputs=IMAGE, tasks=TASKS, split=SPLIT)
    sound = np.ones(800, dtype=np.float32)
    sound[3] = np.nan
    wavfile.write(folder / "nan.wav", 8000, sound)
    file = table(folder, ["nan.wav"], "ok.wav")
    with pytest.raises(
        ValueError, match=r"1 sounds cannot be decoded: .*nan.wav: a sample is no number"
    ):
        build(file=file, inputs=AUDIO, tasks=TASKS, split=SPLIT)


@pytest.mark.parametrize("name", ["pipe.csv", "folder.csv", "loop.csv", "device.csv"])
def test_tables_that_are_no_files(folder: Path, name: str) -> None:
    os.mkfifo(folder / "pipe.csv")
    (folder / "folder.csv").mkdir()
    os.symlink("loop.csv", folder / "loop.csv")
    os.symlink("/dev/zero", folder / "device.csv")
    told = what_is_wrong(str(folder / name), inputs=IMAGE, tasks=TASKS)
    assert told.startswith(f"`file`: {folder / name} ")
    assert "No such file" not in told


def test_links_and_absolute_paths_lead_to_files(folder: Path) -> None:
    os.symlink("ok.png", folder / "link.png")
    (folder.parent / "out.png").write_bytes((folder / "ok.png").read_bytes())
    paths = ["link.png", str(folder / "ok.png"), "../out.png"]
    made = in_memory(
        build(file=table(folder, paths, "ok.png"), inputs=IMAGE, tasks=TASKS, split=SPLIT).train
    )
    assert all(torch.equal(made.inputs["p"][0], x) for x in made.inputs["p"])


def test_16_bits_are_scaled_and_not_cut_off(folder: Path) -> None:
    values = np.arange(64, dtype=np.uint16).reshape(8, 8)
    Image.fromarray(values * 257).save(folder / "deep.png")
    made = in_memory(
        build(
            file=table(folder, ["deep.png"], "ok.png"), inputs=IMAGE, tasks=TASKS, split=SPLIT
        ).train
    )
    assert torch.equal(made.inputs["p"][0], made.inputs["p"][1])  # the same picture in 8 bits
