"""How far a cell is, kept in a file from which it goes on bit for bit."""

from __future__ import annotations

import copy
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR

from bench.selection import Progress, Selection
from bench.step import TrainStep


@dataclass(frozen=True, slots=True)
class TrainingState:
    """All that changes while a cell trains."""

    step: TrainStep
    schedule: LambdaLR
    order: torch.Generator
    progress: Progress

    def to_dict(self) -> dict[str, Any]:
        """It as tensors and plain values."""
        return {
            "model": self.step.model.state_dict(),
            "optimizer": self.step.optimizer.state_dict(),
            "scaler": self.step.scaler.state_dict(),
            "weighting": {name: value.detach() for name, value in self.step.state.items()},
            "descent": self.step.descent.state_dict(),
            "schedule": self.schedule.state_dict(),
            "order": self.order.get_state(),
            "random": torch.get_rng_state(),
            "random_cuda": _cuda_state(),
            "progress": asdict(self.progress),
        }

    def restore(self, kept: dict[str, Any]) -> None:
        """Bring everything to where it was when `kept` was made."""
        self.step.model.load_state_dict(kept["model"])
        self.step.optimizer.load_state_dict(kept["optimizer"])
        self.step.scaler.load_state_dict(kept["scaler"])
        self.step.descent.load_state_dict(kept["descent"])
        self.schedule.load_state_dict(kept["schedule"])
        self.order.set_state(kept["order"])
        torch.set_rng_state(kept["random"])
        if kept["random_cuda"] is not None:
            torch.cuda.set_rng_state(kept["random_cuda"])
        with torch.no_grad():
            for name in self.step.weighting.learned:
                # In place: the optimizer moves these very tensors.
                self.step.state[name].copy_(kept["weighting"].pop(name))
        self.step.state = {**self.step.state, **kept["weighting"]}
        progress = kept["progress"]
        progress["selections"] = [Selection(**one) for one in progress["selections"]]
        vars(self.progress).update(progress)


def _cuda_state() -> torch.Tensor | None:
    initialized = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return torch.cuda.get_rng_state() if initialized else None


class Checkpoint:
    """The file of one cell, written anew after an epoch whenever `minutes` have passed."""

    def __init__(self, path: Path, minutes: float) -> None:
        self._path, self._minutes = path, minutes
        self._saved = time.monotonic()

    def restore(self, state: TrainingState) -> None:
        """Go on from the file, if there is one that can be read and fits; else leave the state."""
        if not self._path.exists():
            return
        before = copy.deepcopy(state.to_dict())
        device = next(state.step.model.parameters()).device
        try:
            state.restore(_on(device, torch.load(self._path, "cpu", weights_only=True)))
        except Exception as error:
            state.restore(before)
            print(
                f"the checkpoint {self._path} cannot be read or does not fit, training starts "
                f"anew: {error}"
            )

    def save_if_due(self, state: TrainingState) -> None:
        """Keep the state; whoever reads the file sees all of it or the one before.

        Where that fails training goes on: the file is a help, not a result.
        """
        if time.monotonic() - self._saved < 60 * self._minutes:
            return
        self._saved = time.monotonic()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(state.to_dict(), self._partial)
            self._partial.replace(self._path)
        except (OSError, RuntimeError) as error:  # PyTorch's writer raises the latter
            self._drop(self._partial)
            print(f"the checkpoint {self._path} cannot be written, training goes on: {error}")

    def remove(self) -> None:
        """Drop the file of a cell that is done."""
        self._drop(self._path)
        self._drop(self._partial)

    @property
    def _partial(self) -> Path:
        # One name: the lock of the unit lets no other process write it.
        return self._path.with_suffix(".partial")

    @staticmethod
    def _drop(path: Path) -> None:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _on(device: torch.device, kept: dict[str, Any]) -> dict[str, Any]:
    """The kept state, with what is no part of model or optimizer moved to the device."""
    kept["weighting"] = {k: v.to(device) for k, v in kept["weighting"].items()}
    for name in ("weights", "gramian"):
        if kept["descent"][name] is not None:
            kept["descent"][name] = kept["descent"][name].to(device)
    kept["progress"]["weights"] = {
        epoch: {name: value.to(device) for name, value in weights.items()}
        for epoch, weights in kept["progress"]["weights"].items()
    }
    return kept
