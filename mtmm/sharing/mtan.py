"""Multi-task attention network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtmm.encoders.base import State
from mtmm.paths import Path, Trails
from mtmm.sharing.base import MakePath, Sharing
from mtmm.sharing.mixing import channels_first, channels_last, each_stage
from mtmm.spec import Features, SharedSpace


class MTAN(Sharing):
    """One path, and for each task a mask over the channels of every stage (Liu et al. 2019, arXiv
    1803.10704).

    A task's feature after a stage is mask ⊙ p, with p what the shared path makes and mask =
    σ(W2 relu(W1 [p; q])), where q is what the same stage makes of the task's feature before it; the
    first mask sees p alone. Running statistics of normalisation layers are those of each task's own
    features.
    Without the convolutions of its own and the batch normalisation of the paper, so that it works
    with every encoder. A fusion is shared, and read by each task from its own features.
    """

    spaces = frozenset({"theta"})
    fewest_tasks = 2

    def __init__(self, make_path: MakePath, tasks: Sequence[str]) -> None:
        super().__init__(make_path, tasks)
        self.path = make_path(self.tasks)
        self.masks = nn.ModuleList(each_stage(self.path, _mask) for _ in self.tasks)
        self.statistics = nn.ModuleList(_Statistics(self.path) for _ in self.tasks)
        self.theta = {"path": tuple(self.path.parameters())}

    @classmethod
    def path_count(cls, num_tasks: int) -> int:
        """One."""
        return 1

    def forward(
        self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]
    ) -> tuple[dict[str, Features], SharedSpace]:
        """See `Sharing.forward`."""
        shared = self.path.start(inputs, present)
        own: list[Trails] = [shared for _ in self.tasks]
        statistics = [kept.by_level() for kept in self.statistics if isinstance(kept, _Statistics)]
        for level in range(self.path.depth):
            shared = self.path.advance(shared, level)
            # Before the first stage no task has a feature of its own.
            streams = [
                self.path.advance(trails, level, kept[level]) if level else shared
                for trails, kept in zip(own, statistics, strict=True)
            ]
            own = [
                self._attended(masks, trails, shared, level)
                for masks, trails in zip(self.masks, streams, strict=True)
            ]
        told = {
            task: self.path.finish(trails, present)
            for task, trails in zip(self.tasks, own, strict=True)
        }
        return told, SharedSpace(theta=self.theta)

    def _attended(self, masks: nn.Module, own: Trails, shared: Trails, level: int) -> Trails:
        after = dict(own)
        for (modality, trail), stages in zip(own.items(), masks.children(), strict=True):
            assert isinstance(stages, nn.ModuleList)
            if level < len(stages):
                name = list(trail)[-1]
                p, q = shared[modality][name].x, trail[name].x
                seen = [p, q] if level else [p]
                mask = stages[level](torch.cat([channels_last(x) for x in seen], dim=-1))
                x = channels_first(torch.sigmoid(mask), p.dim()) * p
                after[modality] = {**trail, name: State(x, trail[name].mask)}
        return after


class _Statistics(nn.Module):
    """A task's copy of the running statistics of the path's stages, but for the first."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._places: list[tuple[int, str, str, str]] = []
        for level in range(1, path.depth):
            for modality, buffers in path.statistics(level).items():
                for name, value in buffers.items():
                    key = f"s{len(self._places)}"
                    self.register_buffer(key, value.detach().clone())
                    self._places.append((level, modality, name, key))
        self._depth = path.depth

    def by_level(self) -> list[dict[str, dict[str, Tensor]]]:
        """By level and modality, the buffers by their names in the stage."""
        found: list[dict[str, dict[str, Tensor]]] = [{} for _ in range(self._depth)]
        for level, modality, name, key in self._places:
            found[level].setdefault(modality, {})[name] = self.get_buffer(key)
        return found


def _mask(channels: int, level: int) -> nn.Module:
    seen = 2 * channels if level else channels
    return nn.Sequential(nn.Linear(seen, channels), nn.ReLU(), nn.Linear(channels, channels))
