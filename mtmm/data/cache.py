"""Tensors that are costly to make, kept on disk between runs."""

from __future__ import annotations

import hashlib
import os
import pickle
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor


def cache_dir() -> Path:
    """The folder of cached files: $MTMM_CACHE, else mtmm-bench in the user's cache folder."""
    if own := os.environ.get("MTMM_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "mtmm-bench"


def file_hash(paths: Iterable[Path]) -> str:
    """SHA-256 (hex) over the contents of the files, in the order given."""
    digest = hashlib.sha256()
    for path in paths:
        # Hashing each file by itself keeps the boundary between two files part of the result.
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def cached(
    name: str, fingerprint: str, build: Callable[[], dict[str, Tensor]]
) -> dict[str, Tensor]:
    """What `build` makes, read from `<name>-<fingerprint[:16]>.pt` where an earlier call left it.

    Of several processes that call this at once one builds, and the others wait and read. A file
    that cannot be read is built anew; where the folder cannot be written, the tensors are built in
    memory and a warning says so. Files of other fingerprints stay: another version of the project
    may use them.
    """
    path = cache_dir() / f"{name}-{fingerprint[:16]}.pt"
    # Files appear whole or not at all, so a reader needs no lock, nor a folder it may write to.
    stored = _read(path)
    if stored is not None:
        return stored
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(path.with_suffix(".lock")))
        except OSError as error:
            _warn_unwritable(path, error)
            return build()
        stored = _read(path)
        if stored is not None:
            return stored
        tensors = build()
        try:
            save(path, tensors)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
            _warn_unwritable(path, error)
        return tensors


def _read(path: Path) -> dict[str, Tensor] | None:
    """The tensors in the file, or None if there is no such file or it holds something else."""
    if not path.is_file():
        return None
    try:
        stored = torch.load(path, mmap=True, weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError):
        return None
    if not isinstance(stored, dict) or not all(isinstance(v, Tensor) for v in stored.values()):
        return None
    return stored


def save(path: Path, value: Mapping[str, Any]) -> None:
    """Write a file of tensors whole or not at all; whoever writes there holds a lock.

    Raises OSError, or as PyTorch's writer does RuntimeError, where the disk is full.
    """
    # The name is ours, and what a killed process left there is overwritten.
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as file:
            torch.save(dict(value), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _warn_unwritable(path: Path, error: Exception) -> None:
    warnings.warn(
        f"cannot write the cache file {path} ({error}): built in memory; "
        "set MTMM_CACHE to a folder that can be written to build once only",
        stacklevel=3,
    )
