"""Random states derived from one seed and a name, so that no part shifts the numbers of another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive(seed: int, *names: str) -> int:
    """A 63-bit seed for the part of that name."""
    text = "\x1f".join((str(seed), *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@contextmanager
def seeded(seed: int, *names: str) -> Iterator[None]:
    """PyTorch's CPU generator seeded for that part inside, and as it was before outside."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, *names))
        yield


def generator(seed: int, *names: str, device: torch.device | None = None) -> torch.Generator:
    """A generator of its own for that part."""
    made = torch.Generator(device=device or torch.device("cpu"))
    made.manual_seed(derive(seed, *names))
    return made
