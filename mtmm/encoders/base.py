"""An encoder: ordered, named stages from a modality to features."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from mtmm.attention import masked_mean
from mtmm.spec import Features, ModalityKind


class State(NamedTuple):
    """What one stage hands to the next.

    `x` starts with the batch dimension; `mask` is the token mask (boolean `[B, S]`, true = real
    token) of a modality that has tokens, else None.
    """

    x: Tensor
    mask: Tensor | None


class Stage(nn.Module):
    """One step of an encoder: `forward(x, mask) -> State`. `out_shape` is that of one sample."""

    out_shape: tuple[int, ...]

    def forward(self, x: Tensor, mask: Tensor | None) -> State:
        """Shapes: x `[B, *in_shape]` to `[B, *out_shape]`; the mask as it is handed on."""
        raise NotImplementedError


class Plain(Stage):
    """A stage out of an ordinary module that neither reads nor changes the mask."""

    def __init__(self, module: nn.Module, out_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.module = module
        self.out_shape = out_shape

    def forward(self, x: Tensor, mask: Tensor | None) -> State:
        """See `Stage.forward`."""
        return State(self.module(x), mask)


class Encoder(nn.Module):
    """Ordered, named stages. The last stage's output `[B, dim]` is the feature vector.

    `kinds` says which modalities it reads. `map_stage` names the stage whose output `[B, C, H, W]`
    is a convolutional network's map (its positions are the tokens), `token_stage` the one whose
    output `[B, S, E]` are a sequence model's tokens.
    """

    kinds: ClassVar[frozenset[ModalityKind]]
    map_stage: str | None = None
    token_stage: str | None = None

    def __init__(self, stages: Mapping[str, Stage]) -> None:
        super().__init__()
        self.stages = nn.ModuleDict(stages)
        self.names = tuple(stages)
        self._shapes = {name: stage.out_shape for name, stage in stages.items()}
        (self.dim,) = list(stages.values())[-1].out_shape

    @classmethod
    def has_tokens(cls) -> bool:
        """Whether it hands on more than a vector: the positions of a map, or words."""
        return (cls.map_stage or cls.token_stage) is not None

    @classmethod
    def content(cls, **settings: Any) -> str:
        """What decides its first weights besides source, settings and seed, such as a file's hash.

        Raises ValueError where that cannot be had.
        """
        return ""

    @property
    def token_dim(self) -> int:
        """The width of its tokens; of its vector, where that is the only one."""
        name = self.map_stage or self.token_stage
        if name is None:
            return self.dim
        return self._shapes[name][0 if self.map_stage else -1]

    def shape_of(self, stage: str) -> tuple[int, ...]:
        """What a stage makes of one sample, whether this encoder runs it or another one does."""
        return self._shapes[stage]

    @property
    def token_count(self) -> int:
        """How many tokens it hands on: positions of a map, words, or its only vector."""
        name = self.map_stage or self.token_stage
        if name is None:
            return 1
        shape = self._shapes[name]
        return math.prod(shape[1:]) if self.map_stage else shape[0]

    def until_tokens(self) -> list[str]:
        """The stages up to its tokens, all where it has none."""
        names = list(self.stages)
        last = self.map_stage or self.token_stage
        return names if last is None else names[: names.index(last) + 1]

    def end_at_tokens(self) -> None:
        """Drop the stages behind its tokens, for a fusion that reads those.

        The vector is then their mean.
        """
        self.dim = self.token_dim
        self.names = tuple(self.until_tokens())
        self.stages = nn.ModuleDict({name: self.stages[name] for name in self.names})

    def keep(self, levels: Container[int]) -> None:
        """Drop the stages whose numbers are none of these: another encoder runs them."""
        kept = [name for level, name in enumerate(self.names) if level in levels]
        self.stages = nn.ModuleDict({name: self.stages[name] for name in kept})

    def read(self, trail: Mapping[str, State]) -> Features:
        """The features, from what each stage handed on."""
        name, vector = list(trail)[-1], list(trail.values())[-1].x
        if self.map_stage is not None:
            maps = trail[self.map_stage].x
            tokens = maps.flatten(2).transpose(1, 2)
            vector = tokens.mean(1) if name == self.map_stage else vector
            return Features(vector=vector, maps=maps, tokens=tokens)
        if self.token_stage is not None:
            tokens, mask = trail[self.token_stage]
            vector = masked_mean(tokens, mask) if name == self.token_stage else vector
            return Features(vector=vector, tokens=tokens, token_mask=mask)
        return Features(vector=vector)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Features:
        """Shapes: x `[B, *modality.shape]`, mask `[B, S]` or None."""
        trail, state = {}, State(x, mask)
        for name, stage in self.stages.items():
            state = trail[name] = stage(*state)
        return self.read(trail)
