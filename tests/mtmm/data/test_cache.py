from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mtmm.data.cache import cache_dir, cached, file_hash

FINGERPRINT = "0123456789abcdef" + "f" * 48
FILE = "numbers-0123456789abcdef.pt"

READER = f"""
from mtmm.data.cache import cached

def build():
    raise SystemExit("the second process must wait for the first, and build nothing")

print("started", flush=True)
print(cached("numbers", "{FINGERPRINT}", build)["x"].tolist())
"""


class Builder:
    """Counts how often it builds."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> dict[str, Tensor]:
        self.calls += 1
        return {"x": torch.arange(3)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTMM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_folder_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.delenv("MTMM_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_dir() == Path("/home/ada/.cache/mtmm-bench")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/xdg")
    assert cache_dir() == Path("/var/xdg/mtmm-bench")
    monkeypatch.setenv("MTMM_CACHE", "/var/own")
    assert cache_dir() == Path("/var/own")


def test_builds_once_and_leaves_no_temporary_file(folder: Path) -> None:
    build = Builder()
    first = cached("numbers", FINGERPRINT, build)
    second = cached("numbers", FINGERPRINT, build)
    assert build.calls == 1
    assert first["x"].tolist() == second["x"].tolist() == [0, 1, 2]
    assert {path.name for path in folder.glob("*")} - {FILE.replace(".pt", ".lock")} == {FILE}


def test_another_fingerprint_is_another_file_and_the_stale_one_stays(folder: Path) -> None:
    build = Builder()
    cached("numbers", FINGERPRINT, build)
    cached("numbers", FINGERPRINT[::-1], build)
    assert build.calls == 2
    assert len(list(folder.glob("*.pt"))) == 2


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("no tensors here")


def _list(path: Path) -> None:
    torch.save([1, 2], path)


def _folder_object(path: Path) -> None:
    torch.save({"x": path.parent}, path)  # weights_only refuses the class


@pytest.mark.parametrize("damage", [_truncate, _empty, _text, _list, _folder_object])
def test_damaged_or_foreign_file_is_rebuilt(folder: Path, damage: Callable[[Path], None]) -> None:
    build = Builder()
    cached("numbers", FINGERPRINT, build)
    damage(folder / FILE)
    assert cached("numbers", FINGERPRINT, build)["x"].tolist() == [0, 1, 2]
    assert build.calls == 2
    cached("numbers", FINGERPRINT, build)
    assert build.calls == 2


def test_unwritable_folder_builds_in_memory_with_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MTMM_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="MTMM_CACHE") as caught:
        tensors = cached("numbers", FINGERPRINT, Builder())
    assert len(caught) == 1
    assert tensors["x"].tolist() == [0, 1, 2]


def test_failed_write_warns_and_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(UserWarning, match="No space left"):
        tensors = cached("numbers", FINGERPRINT, Builder())
    assert tensors["x"].tolist() == [0, 1, 2]
    assert not [path for path in folder.iterdir() if path.suffix != ".lock"]


def test_file_is_as_readable_as_any_other_new_file(folder: Path) -> None:
    cached("numbers", FINGERPRINT, Builder())
    (folder / "plain").touch()
    assert (folder / FILE).stat().st_mode == (folder / "plain").stat().st_mode


def test_error_of_the_builder_is_not_taken_for_an_unwritable_folder(folder: Path) -> None:
    def build() -> dict[str, Tensor]:
        raise FileNotFoundError("font")

    with pytest.raises(FileNotFoundError, match="font"):
        cached("numbers", FINGERPRINT, build)


def test_of_two_processes_one_builds_and_the_other_waits(folder: Path) -> None:
    reader: list[subprocess.Popen[str]] = []

    def build() -> dict[str, Tensor]:
        # Started while this process holds the lock: the reader can only wait, or build and fail.
        reader.append(
            subprocess.Popen(
                [sys.executable, "-c", READER],
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )
        )
        assert reader[0].stdout is not None
        assert reader[0].stdout.readline() == "started\n"
        return {"x": torch.tensor([7])}

    cached("numbers", FINGERPRINT, build)
    output, _ = reader[0].communicate(timeout=30)
    assert reader[0].returncode == 0
    assert output == "[7]\n"


def test_file_hash_sees_contents_order_and_boundaries(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("one")
    b.write_text("two")
    before = file_hash([a, b])
    assert file_hash([a, b]) == before
    assert file_hash([b, a]) != before
    a.write_text("onet")
    b.write_text("wo")
    assert file_hash([a, b]) != before
