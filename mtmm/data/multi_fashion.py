"""`multi_fashion`: two overlapping pieces of clothing, a task for each."""

from __future__ import annotations

from mtmm.data.overlaid import Limit, Overlaid, Seed
from mtmm.spec import DataBundle, Description

ITEMS = Overlaid(
    "multi_fashion", "FashionMNIST", "/usr/share/datasets/fashion-mnist", 0.2860, 0.3530
)


def describe(*, root: str | None = None, limit: Limit | None = None, seed: Seed = 0) -> Description:
    """The description of what `build` makes of the same settings; ValueError without its files."""
    return ITEMS.describe(root, limit, seed)


def build(*, root: str | None = None, limit: Limit | None = None, seed: Seed = 0) -> DataBundle:
    """`image` float32 `[B, 1, 28, 28]`: two items of FashionMNIST, upper left and lower right on
    36×36 pixels, the brighter one where they overlap, made small again; a task for each.

    50,000 / 10,000 / 10,000 images; every item is on the left once, what is on the right is drawn
    by `seed`. `limit` is the number of images in all. `root` is a folder with the four gzipped or
    plain IDX files, or torchvision's root; without it, that of cached files and Debian's.
    """
    return ITEMS.build(root, limit, seed)
