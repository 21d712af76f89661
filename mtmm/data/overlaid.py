"""Two overlapping items of FashionMNIST or MNIST on one canvas, a task each.

The construction of Sener & Koltun 2018 (arXiv 1810.04650) in the split of Kurin et al. 2022 (arXiv
2201.04122): base items are split before they are paired, so that none is in two splits.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtmm import source
from mtmm.data.cache import cache_dir, file_hash
from mtmm.data.splits import bundle, complete, fingerprint
from mtmm.settings import Range
from mtmm.spec import Batch, DataBundle, Description, Modality, Task

Seed = Annotated[int, Range(low=0, below=2**32)]
Limit = Annotated[int, Range(low=100, high=70_000)]

SIDE, CANVAS, OFFSET, CLASSES = 28, 36, 6, 10
TRAIN_SHARE = 5 / 6  # of the 60,000 for training: the last 10,000 are val
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
SOURCE_HASH = source.file_hash(__file__)


@dataclass(frozen=True, slots=True)
class Overlaid:
    """One of the two: where its items lie, and mean and standard deviation of their pixels."""

    name: str
    torchvision: str
    debian: str
    mean: float
    sd: float

    def describe(self, root: str | None, limit: int | None, seed: int) -> Description:
        """The description; ValueError without the files, or where labels or `limit` will not do."""
        pairs = self.files(root)
        files = [path for pair in pairs.values() for path in pair]
        # Labels are a hundredth of the bytes: that is quick enough while planning.
        total = sum(len(_labels(labels)) for _, labels in pairs.values())
        if limit is not None and limit > total:
            raise ValueError(
                f"`limit` must be at most the {total:,} items there are; found {limit}"
            )
        return Description(
            modalities=(Modality(name="image", kind="image", shape=(1, SIDE, SIDE)),),
            tasks=tuple(
                Task(name=side, kind="classification", classes=CLASSES)
                for side in ("left", "right")
            ),
            fingerprint=fingerprint(
                source=SOURCE_HASH, name=self.name, files=file_hash(files), limit=limit, seed=seed
            ),
        )

    def build(self, root: str | None, limit: int | None, seed: int) -> DataBundle:
        """The three splits."""
        description = self.describe(root, limit, seed)
        files = self.files(root)
        images, labels = _items(*files["train"])
        of_test = _items(*files["test"])
        cut = round(TRAIN_SHARE * len(images))
        parts = {
            "train": (images[:cut], labels[:cut]),
            "val": (images[cut:], labels[cut:]),
            "test": of_test,
        }
        total = sum(len(part[0]) for part in parts.values())
        splits = {}
        for stream, (split, (x, y)) in enumerate(parts.items()):
            count = len(x) if limit is None else round(limit * len(x) / total)
            splits[split] = self._paired(x, y, count, np.random.RandomState([seed, stream]))
        return bundle(description, splits)

    def files(self, root: str | None) -> dict[str, tuple[Path, Path]]:
        """Images and labels of both parts; ValueError where some are missing."""
        folders = [cache_dir() / self.torchvision / "raw", Path(self.debian)]
        if root is not None:
            given = Path(root).expanduser()
            folders = [given, given / self.torchvision / "raw"]
        for folder in folders:
            there = {}
            for part, names in FILES.items():
                images, labels = (_plain_or_zipped(folder / name) for name in names)
                if images is not None and labels is not None:
                    there[part] = (images, labels)
            if len(there) == len(FILES):
                return there
        looked = " or ".join(map(str, folders))
        text = (
            f"the four files of dataset '{self.name}', {FILES['train'][0]}.gz and so on, must be in"
        )
        ways = (
            f"`python -m mtmm.data.fetch {self.name}` (in a clone `make data DATA={self.name}`) "
            "downloads them, or set `root`"
        )
        raise ValueError(f"{text} {looked}: {ways}")

    def _paired(
        self, images: Tensor, labels: Tensor, count: int, random: np.random.RandomState
    ) -> Batch:
        """The first `count` items on the left, each with one drawn from all on the right."""
        left = torch.arange(count)
        right = torch.from_numpy(random.randint(0, len(images), count))
        canvas = torch.zeros(count, CANVAS, CANVAS, dtype=torch.uint8)
        canvas[:, :SIDE, :SIDE] = images[left]
        shifted = canvas[:, OFFSET : OFFSET + SIDE, OFFSET : OFFSET + SIDE]
        shifted.copy_(torch.maximum(shifted, images[right]))
        # Nearest neighbour, as Pillow does it: the pixel under the middle of the new one.
        rows = ((torch.arange(SIDE) + 0.5) * CANVAS / SIDE).long()
        small = canvas[:, rows][:, :, rows]
        scaled = (small.float().div_(255) - self.mean) / self.sd
        targets = {"left": labels[left].numpy(), "right": labels[right].numpy()}
        return complete({"image": scaled[:, None].numpy()}, targets)


def _plain_or_zipped(path: Path) -> Path | None:
    zipped = path.with_name(f"{path.name}.gz")
    return next((found for found in (zipped, path) if found.is_file()), None)


def _labels(path: Path) -> Tensor:
    classes = torch.from_numpy(_idx(path, path.stat().st_mtime_ns).astype(np.int64))
    if len(classes) and int(classes.max()) >= CLASSES:
        text = f"{path} must hold labels 0 to {CLASSES - 1}"
        raise ValueError(f"{text}; found {int(classes.max())}")
    return classes


def _items(images: Path, labels: Path) -> tuple[Tensor, Tensor]:
    pixels = torch.from_numpy(_idx(images, images.stat().st_mtime_ns).copy())
    classes = _labels(labels)
    if pixels.shape != (len(classes), SIDE, SIDE):
        text = f"{images} must hold {len(classes)} images of {SIDE}×{SIDE}, one for each label"
        raise ValueError(f"{text}; found {list(pixels.shape)}")
    return pixels, classes


@lru_cache(maxsize=8)
def _idx(path: Path, changed: int) -> NDArray[np.uint8]:
    """What an IDX file of bytes holds: two zeros, 8, the number of dimensions, sizes, bytes."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} cannot be decompressed: {error}") from None
    if len(data) < 4 or data[:3] != b"\0\0\x08" or len(data) < 4 + 4 * data[3]:
        raise ValueError(f"{path} must be an IDX file of bytes; it starts with {data[:4]!r}")
    dims = data[3]
    shape = np.frombuffer(data, ">u4", dims, 4).astype(int)
    body = np.frombuffer(data, np.uint8, offset=4 + 4 * dims)
    if body.size != shape.prod():
        raise ValueError(f"{path} must hold {shape.prod()} bytes; found {body.size}")
    return body.reshape(shape)
