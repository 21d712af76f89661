"""Sounds of a column of paths to WAV files, as spectra over time."""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.io import wavfile
from scipy.signal import resample_poly
from torch import Tensor

from mtmm import source
from mtmm.data.tables.cells import visible

WINDOW_S, HOP_S = 0.025, 0.010
"""Length of a window and its step, in seconds."""

HIGHEST_RATE = 1_000_000
"""In Hz: resampling from what a few bytes claim could take all memory."""

LOUDEST = 1e6
"""Of full scale, which is 1: squares of more would be no numbers."""

SOURCE_HASH = source.file_hash(__file__)

_FLOOR = 1e-6


def frames(seconds: float) -> int:
    """How many windows a sound of that length has."""
    return 1 + round(seconds / HOP_S)


def why_not(path: Path) -> str | None:
    """What keeps a file from being a sound that can be read; None: nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            rate, samples = wavfile.read(path, mmap=True)  # samples are read when they are needed
    except (OSError, ValueError, EOFError, ArithmeticError, struct.error) as error:
        return f"is no WAV file: {error}"
    if not 1 <= rate <= HIGHEST_RATE:
        return f"says that it has {rate:,} samples a second, not 1 to {HIGHEST_RATE:,}"
    return None if samples.size else "has no sample"


def spectra(paths: Sequence[Path | None], rate: int, seconds: float, bands: int) -> Tensor:
    """Log-mel spectra, float32 `[N, 1, bands, frames]`, 0 where there is no path.

    Sounds are mixed to one channel, resampled to `rate` in Hz, and cut or padded with silence.
    Raises ValueError with all files that cannot be decoded.
    """
    made = torch.zeros(len(paths), 1, bands, frames(seconds))
    hop, window = round(rate * HOP_S), round(rate * WINDOW_S)
    size = 2 ** math.ceil(math.log2(window))
    filters = mel_filters(rate, size, bands)
    broken = []
    for row, path in enumerate(paths):
        if path is None:
            continue
        try:
            sound = torch.from_numpy(_resampled(*_read(path), rate, round(rate * seconds)))
        except (OSError, ValueError) as error:
            broken.append(visible(f"{path}: {error}"))
            continue
        spectrum = torch.stft(
            sound, size, hop, window, torch.hann_window(window), return_complex=True
        )
        power = filters @ spectrum.abs().square()[:, : made.shape[3]]
        made[row, 0, :, : power.shape[1]] = (power + _FLOOR).log()
    if broken:
        some = "; ".join(broken[:3]) + ("; ..." if len(broken) > 3 else "")
        raise ValueError(f"{len(broken)} sounds cannot be decoded: {some}")
    return made


def mel_filters(rate: int, size: int, bands: int) -> Tensor:
    """Triangular filters `[bands, size // 2 + 1]`, evenly spaced in mel (O'Shaughnessy 1987)."""
    top = 2595 * math.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, bands + 2) / 2595) - 1)
    hertz = torch.linspace(0, rate / 2, size // 2 + 1)
    rising = (hertz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hertz) / (edges[2:] - edges[1:-1])[:, None]
    return torch.minimum(rising, falling).clamp(min=0)


def _read(path: Path) -> tuple[int, NDArray[np.float32]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # of chunks it does not know
        rate, samples = wavfile.read(path)
    if samples.dtype.kind in "iu":
        middle = 128 if samples.dtype == np.uint8 else 0
        samples = (samples.astype(np.float32) - middle) / (np.iinfo(samples.dtype).max - middle)
    samples = samples.astype(np.float32)
    if not (np.abs(samples) <= LOUDEST).all():
        raise ValueError("a sample is no number, or far beyond full scale")
    return int(rate), samples.mean(1) if samples.ndim == 2 else samples


def _resampled(own: int, sound: NDArray[np.float32], rate: int, length: int) -> NDArray[np.float32]:
    if own != rate:
        shared = math.gcd(own, rate)
        sound = resample_poly(sound, rate // shared, own // shared)
    sound = sound[:length].astype(np.float32)
    return np.pad(sound, (0, length - len(sound)))
