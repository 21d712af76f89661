"""`multi_mnist`: two overlapping handwritten digits, a task for each."""

from __future__ import annotations

from mtmm.data.overlaid import Limit, Overlaid, Seed
from mtmm.spec import DataBundle, Description

ITEMS = Overlaid("multi_mnist", "MNIST", "/usr/share/datasets/mnist", 0.1307, 0.3081)


def describe(*, root: str | None = None, limit: Limit | None = None, seed: Seed = 0) -> Description:
    """The description of what `build` makes of the same settings; ValueError without its files."""
    return ITEMS.describe(root, limit, seed)


def build(*, root: str | None = None, limit: Limit | None = None, seed: Seed = 0) -> DataBundle:
    """As `multi_fashion`, of the handwritten digits of MNIST."""
    return ITEMS.build(root, limit, seed)
