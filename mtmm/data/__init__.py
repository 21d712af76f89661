"""Data sets by name. Called with its settings, one builds a `DataBundle`."""

from __future__ import annotations

from mtmm.data import digits_views, glyphs, interactions, mfeat, multi_fashion, multi_mnist, table
from mtmm.data.base import Dataset

DATASETS: dict[str, Dataset] = {
    "digits_views": Dataset(digits_views.build, digits_views.describe),
    "glyphs": Dataset(glyphs.build, glyphs.describe, glyphs.legend),
    "interactions": Dataset(interactions.build, interactions.describe),
    "mfeat": Dataset(mfeat.build, mfeat.describe),
    "multi_fashion": Dataset(multi_fashion.build, multi_fashion.describe),
    "multi_mnist": Dataset(multi_mnist.build, multi_mnist.describe),
    "table": Dataset(table.build, table.describe, table.legend),
}
