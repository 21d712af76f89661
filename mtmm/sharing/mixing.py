"""What sharings share that run a path for each task and mix them after every stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import torch
from torch import Tensor, nn

from mtmm.encoders.base import Encoder, State
from mtmm.paths import Path, Trails
from mtmm.settings import Range
from mtmm.sharing.base import MakePath, Sharing
from mtmm.spec import Features, SharedSpace


class StageMixing(Sharing):
    """A path for each task; after every stage, and after the fusion, the tasks' are mixed.

    A subclass makes a `mixer` for each. `own` is at first the weight of a task's own features; the
    rest of 1 is spread over the other tasks. Channels are the first dimension of a map and the last
    of tokens and vectors.
    """

    spaces = frozenset({"theta"})
    fewest_tasks = 2

    def __init__(
        self,
        make_path: MakePath,
        tasks: Sequence[str],
        *,
        own: Annotated[float, Range(low=0, high=1)] = 0.9,
    ) -> None:
        super().__init__(make_path, tasks)
        start = torch.full((len(tasks), len(tasks)), (1 - own) / (len(tasks) - 1))
        start.fill_diagonal_(own)
        paths = [make_path((task,)) for task in self.tasks]
        self.paths = nn.ModuleList(paths)
        self.mixers = each_stage(paths[0], lambda channels, _: self.mixer(start, channels))
        self.last_mixer = self.mixer(start, paths[0].width)
        self.theta = {"paths": tuple(self.parameters())}

    def mixer(self, start: Tensor, channels: int) -> nn.Module:
        """A module `[T, B, ..., C]` to the same; `start` `[T, T]` is from task to task."""
        raise NotImplementedError

    def forward(
        self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> tuple[dict[str, Features], SharedSpace]:
        """See `Sharing.forward`."""
        paths = [path for path in self.paths if isinstance(path, Path)]
        trails = [path.start(inputs, present) for path in paths]
        for level in range(paths[0].depth):
            trails = [path.advance(trail, level) for path, trail in zip(paths, trails, strict=True)]
            trails = self._mixed(trails, level)
        features = [path.finish(t, present) for path, t in zip(paths, trails, strict=True)]
        vectors = self.last_mixer(torch.stack([f.vector for f in features]))
        told = {
            task: Features(vector=vector, present=present)
            for task, vector in zip(self.tasks, vectors.unbind(), strict=True)
        }
        return told, SharedSpace(theta=self.theta)

    def _mixed(self, trails: Sequence[Trails], level: int) -> list[Trails]:
        mixed = [dict(trail) for trail in trails]
        for modality, mixers in zip(trails[0], self.mixers, strict=True):
            assert isinstance(mixers, nn.ModuleList)
            if level >= len(mixers):
                continue  # its encoder has ended
            name = list(trails[0][modality])[-1]
            states = [trail[modality][name] for trail in trails]
            x = torch.stack([channels_last(state.x) for state in states])
            for own, state, part in zip(mixed, states, mixers[level](x).unbind(), strict=True):
                new = State(channels_first(part, state.x.dim()), state.mask)
                own[modality] = {**own[modality], name: new}
        return list(mixed)


def each_stage(path: Path, make: Callable[[int, int], nn.Module]) -> nn.ModuleList:
    """By modality and then by stage what `make` makes for its channels and number."""
    return nn.ModuleList(
        nn.ModuleList(
            make(_channels(encoder.shape_of(name)), level)
            for level, name in enumerate(encoder.names)
        )
        for encoder in path.encoders
        if isinstance(encoder, Encoder)
    )


def channels_last(x: Tensor) -> Tensor:
    """`[B, C, H, W]` to `[B, H, W, C]`; tokens and vectors as they are."""
    return x.movedim(1, -1) if x.dim() == 4 else x


def channels_first(x: Tensor, dims: int) -> Tensor:
    """Back again, of what had so many dimensions."""
    return x.movedim(-1, 1) if dims == 4 else x


def _channels(shape: Sequence[int]) -> int:
    """Of one sample's map (C, H, W), tokens (S, C) or vector (C,)."""
    return shape[0] if len(shape) == 3 else shape[-1]
