from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from bench.cli import main
from mtmm.data import DATASETS
from mtmm.data import fetch as fetching
from mtmm.data.multi_fashion import ITEMS as FASHION
from mtmm.data.multi_fashion import build as build_fashion
from mtmm.data.multi_fashion import describe as describe_fashion
from mtmm.data.multi_mnist import build as build_mnist
from mtmm.data.overlaid import FILES
from mtmm.spec import in_memory

SIZES = {"train": 120, "test": 30}
Items = dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]


def _items() -> Items:
    random = np.random.RandomState(0)
    return {
        part: (
            random.randint(0, 256, (n, 28, 28)).astype(np.uint8),
            (np.arange(n) % 10).astype("u1"),
        )
        for part, n in SIZES.items()
    }


def _write(folder: Path, items: Items, *, zipped: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part, arrays in items.items():
        for name, array in zip(FILES[part], arrays, strict=True):
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            data = head + array.tobytes()
            path = folder / (f"{name}.gz" if zipped else name)
            path.write_bytes(gzip.compress(data) if zipped else data)


@pytest.fixture
def root(tmp_path: Path) -> str:
    _write(tmp_path, _items())
    return str(tmp_path)


def test_it_is_what_the_protocol_says(root: str) -> None:
    images, labels = _items()["train"]
    train = in_memory(build_fashion(root=root).train)
    assert len(train) == 100
    assert torch.equal(train.targets["left"], torch.from_numpy(labels[:100].astype(np.int64)))
    shown = train.inputs["image"][:, 0] * FASHION.sd + FASHION.mean
    right = {tuple(images[i].flatten().tolist()): i for i in range(100)}
    assert len(right) == 100
    for row in (0, 17, 99):
        found = [
            i
            for i in range(100)
            if np.abs(_canvas(images[row], images[i]) / 255 - shown[row].numpy()).max() < 1e-5
        ]
        assert len(found) == 1
        assert int(labels[found[0]]) == int(train.targets["right"][row])


def _canvas(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.float64]:
    """By hand: both on 36×36, the brighter pixel where they overlap, Pillow's nearest resize."""
    canvas = np.zeros((36, 36), np.uint8)
    canvas[:28, :28] = left
    canvas[6:34, 6:34] = np.maximum(canvas[6:34, 6:34], right)
    return np.asarray(Image.fromarray(canvas).resize((28, 28), Image.Resampling.NEAREST), float)


def test_base_items_are_split_before_they_are_paired(root: str) -> None:
    bundle = build_fashion(root=root)
    assert (len(bundle.train), len(bundle.val), len(bundle.test)) == (100, 20, 30)
    labels = _items()["train"][1].astype(np.int64)
    assert in_memory(bundle.val).targets["left"].tolist() == labels[100:].tolist()


def test_the_seed_decides_the_pairs_and_limit_how_many(root: str) -> None:
    first, again, other = (in_memory(build_fashion(root=root, seed=s).train) for s in (0, 0, 1))
    assert torch.equal(first.inputs["image"], again.inputs["image"])
    assert not torch.equal(first.targets["right"], other.targets["right"])
    assert torch.equal(first.targets["left"], other.targets["left"])
    assert describe_fashion(root=root, seed=1) != describe_fashion(root=root)
    few = build_fashion(root=root, limit=100)
    assert len(few.train) + len(few.val) + len(few.test) == 100


@pytest.mark.parametrize("zipped", [True, False])
def test_torchvisions_root_and_plain_files_do(tmp_path: Path, zipped: bool) -> None:
    _write(tmp_path / "MNIST" / "raw", _items(), zipped=zipped)
    assert DATASETS["multi_mnist"](root=str(tmp_path)).task("right").classes == 10
    assert len(build_mnist(root=str(tmp_path / "MNIST" / "raw")).test) == 30


def test_without_the_files_it_says_how_to_get_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "s.yaml"
    suite.write_text(f"name: s\ndataset: {{name: multi_fashion, root: {tmp_path}}}\n")
    assert main(["plan", str(suite)]) == 2
    told = capsys.readouterr().err
    assert f"must be in {tmp_path} or {tmp_path}/FashionMNIST/raw" in told
    assert "`python -m mtmm.data.fetch multi_fashion` (in a clone `make data DATA=multi_" in told


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"x" * 20, "must be an IDX file of bytes"),
        (b"\0\0\x08\1\0\0\0\x09abc", "must hold 9 bytes"),
    ],
)
def test_files_that_are_none_are_refused(tmp_path: Path, data: bytes, text: str) -> None:
    _write(tmp_path, _items(), zipped=False)
    (tmp_path / FILES["train"][1]).write_bytes(data)
    with pytest.raises(ValueError, match=text):
        build_fashion(root=str(tmp_path))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda data: data[:-9], "cannot be decompressed: "),
        (lambda data: b"no gzip at all", "cannot be decompressed: "),
        (lambda data: gzip.compress(b"\0\0\x08\1\0"), "must be an IDX file of bytes"),
        (lambda data: gzip.compress(gzip.decompress(data)[:-1] + b"\x0b"), "hold labels 0 to 9; f"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_by_the_plan_with_its_path(
    tmp_path: Path,
    change: Callable[[bytes], bytes],
    text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _write(tmp_path, _items())
    path = tmp_path / f"{FILES['test'][1]}.gz"
    path.write_bytes(change(path.read_bytes()))
    suite = tmp_path / "s.yaml"
    suite.write_text(f"name: s\ndataset: {{name: multi_fashion, root: {tmp_path}}}\n")
    assert main(["plan", str(suite)]) == 2
    told = capsys.readouterr().err
    assert str(path) in told
    assert text in told


def test_no_more_than_there_is(root: str) -> None:
    assert len(build_fashion(root=root, limit=150).test) == 30
    with pytest.raises(ValueError, match="`limit` must be at most the 150 items there are; found"):
        describe_fashion(root=root, limit=151)


def test_images_that_are_cut_off_are_told_with_their_path(tmp_path: Path) -> None:
    _write(tmp_path, _items())
    path = tmp_path / f"{FILES['train'][0]}.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz cannot be decompressed"):
        build_fashion(root=str(tmp_path))


def test_images_and_labels_must_be_as_many(tmp_path: Path) -> None:
    items = _items()
    _write(tmp_path, {**items, "test": (items["test"][0][:9], items["test"][1])})
    with pytest.raises(ValueError, match="must hold 30 images of 28×28, one for each label; found"):
        build_fashion(root=str(tmp_path))


def test_an_unknown_data_set_is_not_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    assert fetching.main(["mfaet"]) == 2
    assert "unknown data set 'mfaet' (there are: mfeat, multi_" in capsys.readouterr().err


@pytest.mark.skipif(not Path(FASHION.debian).is_dir(), reason="needs dataset-fashion-mnist")
def test_the_real_items() -> None:
    bundle = build_fashion()
    assert (len(bundle.train), len(bundle.val), len(bundle.test)) == (50_000, 10_000, 10_000)
