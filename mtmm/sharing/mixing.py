"""What sharings share that run a path for each task and mix them after every stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from mtmm.encoders.base import Encoder, State
from mtmm.paths import Path, Trails
from mtmm.sharing.base import MakePath, Sharing
from mtmm.spec import Features, SharedSpace

MakeMixer = Callable[[int, int], nn.Module]
"""From the number of tasks and of channels to a module `[T, B, ..., C]` to `[T, B, ..., C]`."""


class StageMixing(Sharing):
    """A path for each task; after every stage, and after the fusion, the tasks' are mixed.

    Channels are the first dimension of a map and the last of tokens and vectors.
    """

    spaces = frozenset({"theta"})
    fewest_tasks = 2

    def __init__(self, make_path: MakePath, tasks: Sequence[str], make_mixer: MakeMixer) -> None:
        super().__init__(make_path, tasks)
        if len(tasks) < 2:
            raise ValueError(f"mixes the paths of two or more tasks; found {len(tasks)}")
        paths = [make_path((task,)) for task in self.tasks]
        self.paths = nn.ModuleList(paths)
        first = paths[0]
        self.mixers = nn.ModuleDict()
        for modality, encoder in zip(first.modalities, first.encoders, strict=True):
            assert isinstance(encoder, Encoder)
            for level, name in enumerate(encoder.names):
                channels = channels_of(encoder.shape_of(name))
                self.mixers[_key(modality.name, level)] = make_mixer(len(tasks), channels)
        self.mixers["fusion"] = make_mixer(len(tasks), first.width)
        self._theta = {"paths": tuple(self.parameters())}

    def forward(
        self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> tuple[dict[str, Features], SharedSpace]:
        """See `Sharing.forward`."""
        paths = [path for path in self.paths if isinstance(path, Path)]
        trails = [path.start(inputs, present) for path in paths]
        for level in range(paths[0].depth):
            after = [path.advance(trail, level) for path, trail in zip(paths, trails, strict=True)]
            trails = self._mixed(after, trails, level)
        features = [path.finish(t, present) for path, t in zip(paths, trails, strict=True)]
        vectors = self.mixers["fusion"](torch.stack([f.vector for f in features]))
        told = {
            task: Features(vector=vector, present=present)
            for task, vector in zip(self.tasks, vectors.unbind(), strict=True)
        }
        return told, SharedSpace(theta=self._theta)

    def _mixed(self, after: Sequence[Trails], before: Sequence[Trails], level: int) -> list[Trails]:
        mixed = [dict(trails) for trails in after]
        for modality in after[0]:
            if len(after[0][modality]) == len(before[0][modality]):
                continue  # its encoder has ended
            name = list(after[0][modality])[-1]
            states = [trails[modality][name] for trails in after]
            x = torch.stack([channels_last(state.x) for state in states])
            parts = self.mixers[_key(modality, level)](x).unbind()
            for trails, state, part in zip(mixed, states, parts, strict=True):
                new = State(channels_first(part, state.x.dim()), state.mask)
                trails[modality] = {**trails[modality], name: new}
        return list(mixed)


def channels_of(shape: Sequence[int]) -> int:
    """The channels of one sample's map (C, H, W), tokens (S, C) or vector (C,)."""
    return shape[0] if len(shape) == 3 else shape[-1]


def channels_last(x: Tensor) -> Tensor:
    """`[B, C, H, W]` to `[B, H, W, C]`; tokens and vectors as they are."""
    return x.movedim(1, -1) if x.dim() == 4 else x


def channels_first(x: Tensor, dims: int) -> Tensor:
    """Back again, of what had so many dimensions."""
    return x.movedim(-1, 1) if dims == 4 else x


def own_and_others(tasks: int, own: float) -> Tensor:
    """`[T, T]`: each task's own weight, and what is left shared by the others."""
    return torch.full((tasks, tasks), (1 - own) / (tasks - 1)).fill_diagonal_(own)


def _key(modality: str, level: int) -> str:
    return f"{modality}|{level}".replace(".", "_")
