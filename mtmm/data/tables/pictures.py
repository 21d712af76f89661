"""Images of a column of paths, decoded once."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from mtmm import source
from mtmm.data.tables.cells import visible

SOURCE_HASH = source.file_hash(__file__)

MOST_PIXELS = 100_000_000
"""Of one image: what a file of a few bytes may claim to hold is no reason to allocate it."""


def why_not(path: Path) -> str | None:
    """What keeps a file from being an image that can be decoded, by its head; None: nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # told below
            with Image.open(path) as image:
                width, height = image.size
                mode = image.mode
    except Image.DecompressionBombError:  # before its size is known
        return f"has more than {MOST_PIXELS:,} pixels"
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError):
        return "is no image that Pillow reads"
    if width * height > MOST_PIXELS:
        return f"has {width} × {height} pixels, more than {MOST_PIXELS:,}"
    if mode in ("I", "F"):
        return "has pixels of 32 bits; 8 or 16 will do"
    return None


def decode(paths: Sequence[Path | None], size: int, channels: int) -> Tensor:
    """Pixels, uint8 `[N, channels, size, size]`, 0 where there is no path.

    Whole images are scaled to a square. Raises ValueError with all files that cannot be decoded.
    """
    made = torch.zeros(len(paths), channels, size, size, dtype=torch.uint8)
    mode = "L" if channels == 1 else "RGB"
    broken = []
    for row, path in enumerate(paths):
        if path is None:
            continue
        try:
            with Image.open(path) as image:
                image.draft(mode, (size, size))  # JPEGs are decoded at a fraction of their size
                small = _of_8_bits(image).convert(mode)
                small = small.resize((size, size), Image.Resampling.BILINEAR)
        except (OSError, ValueError, SyntaxError) as error:  # Pillow's, of broken files
            broken.append(visible(f"{path}: {error}"))
            continue
        pixels = torch.from_numpy(np.array(small)).view(size, size, channels)
        made[row] = pixels.permute(2, 0, 1)
    if broken:
        some = "; ".join(broken[:3]) + ("; ..." if len(broken) > 3 else "")
        raise ValueError(f"{len(broken)} images cannot be decoded: {some}")
    return made


def _of_8_bits(image: Image.Image) -> Image.Image:
    """The image; one of 16 bits in 8, which Pillow would cut off at 255."""
    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
