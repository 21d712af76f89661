"""The weights of a trained cell and what it said of each test sample, kept where asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.evaluation import predictions
from bench.loading import Feed
from bench.selection import Progress, Weights
from bench.step import TrainStep
from mtmm.data.cache import save
from mtmm.sharing.base import Island
from mtmm.spec import Split


@dataclass(frozen=True, slots=True)
class Keep:
    """The files of one cell: `what` out of weights and predictions, under a path without suffix."""

    base: Path
    what: tuple[str, ...]

    def path(self, what: str) -> Path:
        """The file of `weights` or `predictions`."""
        return self.base.with_name(f"{self.base.name}.{what}.pt")

    @property
    def missing(self) -> bool:
        """Whether one of the files is not there."""
        return not all(self.path(what).exists() for what in self.what)

    def write(self, what: str, value: Mapping[str, Any]) -> None:
        """Keep tensors; whoever reads the file sees all of it or none. Raises OSError."""
        path = self.path(what)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save(path, value)
        except RuntimeError as error:  # PyTorch's writer raises it where a disk is full
            raise OSError(f"{path} cannot be written: {error}") from None


def keep(
    files: Keep,
    step: TrainStep,
    islands: list[Island],
    progress: Progress,
    test: Split,
    feed: Feed,
) -> None:
    """Keep what is asked for: of every island of tasks at the epoch that was chosen for it."""
    chosen = [progress.weights[selection.epoch] for selection in progress.selections]
    step.model.load_state_dict(assembled(step.model, islands, chosen))
    if "weights" in files.what:
        state = {name: value.cpu() for name, value in step.model.state_dict().items()}
        files.write("weights", state)
    if "predictions" in files.what:
        said = predictions(step.model, step.objectives, test, step.around, feed.in_order)
        told = {
            task: {
                "output": output,
                "target": test.targets[task].cpu(),
                "labelled": test.labelled[task].cpu(),
            }
            for task, output in said.items()
        }
        files.write("predictions", told)


def assembled(model: nn.Module, islands: list[Island], weights: list[Weights]) -> Weights:
    """One state of the model in which each island has its own of these weights.

    A buffer, such as a running mean, goes with the parameters closest to it.
    """
    owner: dict[str, int] = {}
    names = {parameter: name for name, parameter in model.named_parameters()}
    for i, island in enumerate(islands):
        for parameter in island.parameters:
            for prefix in _above(names[parameter]):
                owner.setdefault(prefix, i)
    return {
        name: weights[next((owner[p] for p in _above(name) if p in owner), 0)][name]
        for name in weights[0]
    }


def _above(name: str) -> Iterator[str]:
    """A tensor's name and those of the modules that it is in, from the inside out."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        yield ".".join(parts[:length])


def lacks(config: Mapping[str, Any], base: Path) -> bool:
    """Whether a cell that has finished lacks what `train.keep` asks for: it is run again."""
    what = config["train"]["keep"]
    return bool(what) and Keep(base, tuple(what)).missing


def kept_weights(files: Keep) -> dict[str, Tensor]:
    """The state of the model; FileNotFoundError where none was kept."""
    state: dict[str, Tensor] = torch.load(files.path("weights"), "cpu", weights_only=True)
    return state


def kept_predictions(files: Keep) -> dict[str, dict[str, Tensor]]:
    """`output, target, labelled` by task; FileNotFoundError where none were kept."""
    told: dict[str, dict[str, Tensor]] = torch.load(
        files.path("predictions"), "cpu", weights_only=True
    )
    return told
