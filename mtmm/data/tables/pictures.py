"""Images of a column of paths, decoded once."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

MOST_PIXELS = 100_000_000
"""Of one image: what a file of a few bytes may claim to hold is no reason to allocate it."""


def why_not(path: Path) -> str | None:
    """What keeps a file from being an image that can be decoded, by its head; None: nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # told below
            with Image.open(path) as image:
                width, height = image.size
    except FileNotFoundError:
        return "is not there"
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError):
        return "is no image that Pillow reads"
    if width * height > MOST_PIXELS:
        return f"has {width} × {height} pixels, more than {MOST_PIXELS:,}"
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
                small = image.convert(mode).resize((size, size), Image.Resampling.BILINEAR)
        except (OSError, ValueError, SyntaxError) as error:  # Pillow's, of broken files
            broken.append(f"{path}: {error}")
            continue
        pixels = torch.from_numpy(np.array(small)).view(size, size, channels)
        made[row] = pixels.permute(2, 0, 1)
    if broken:
        some = "; ".join(broken[:3]) + ("; ..." if len(broken) > 3 else "")
        raise ValueError(f"{len(broken)} images cannot be decoded: {some}")
    return made
