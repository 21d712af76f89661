"""A path: from the inputs to a task's feature, by encoders and then a fusion."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mtmm.attention import masked_mean
from mtmm.encoders.base import Encoder, State
from mtmm.fusion.base import Fusion
from mtmm.spec import Features, Modality

INPUT = "input"
"""The name under which a trail has what the first stage reads."""

Trails = Mapping[str, Mapping[str, State]]
"""By modality, what the stages of its encoder have handed on so far, by their names in order."""


Statistics = Mapping[str, Tensor]
"""The buffers of a stage, such as the running means of its normalisation layers, by name."""


class SideBySide(nn.Module):
    """In place of a fusion where decisions are fused: each modality's feature in its own columns.

    Those of an absent modality are 0; heads take theirs out again.
    """

    def forward(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Shapes: features `[B, D_m]` to `[B, ΣD_m]`, in the order of `features`."""
        there = (torch.where(present[name][:, None], x, 0.0) for name, x in features.items())
        return torch.cat(list(there), dim=1)


class Path(nn.Module):
    """One encoder per modality and the fusion of what they make."""

    def __init__(
        self,
        modalities: Sequence[Modality],
        encoders: Sequence[Encoder],
        fusion: Fusion | SideBySide,
    ) -> None:
        super().__init__()
        self.modalities = tuple(modalities)
        self.encoders = nn.ModuleList(encoders)
        self.fusion = fusion

    def forward(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Features:
        """Shapes: inputs `[B, *shape]`, present boolean `[B]`; the feature vector `[B, width]`.

        Where decisions are fused it is as wide as all encoders' together.
        """
        features = {}
        for modality, encoder in zip(self.modalities, self.encoders, strict=True):
            x, mask = visible(inputs[modality.name], modality, present[modality.name])
            features[modality.name] = encoder(x, mask)
        return Features(vector=self._fused(features, present), present=present)

    @property
    def width(self) -> int:
        """The width of its feature."""
        if isinstance(self.fusion, Fusion):
            return self.fusion.out_dim
        return sum(encoder.dim for encoder in self._encoders())

    @property
    def depth(self) -> int:
        """The number of stages of its longest encoder."""
        return max(len(encoder.names) for encoder in self._encoders())

    def start(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Trails:
        """What the first stages read: for whoever runs a path stage by stage."""
        return {
            modality.name: {
                INPUT: State(*visible(inputs[modality.name], modality, present[modality.name]))
            }
            for modality in self.modalities
        }

    def advance(
        self,
        trails: Trails,
        level: int,
        statistics: Mapping[str, Statistics] = MappingProxyType({}),
    ) -> Trails:
        """The trails after the stage of that number of every encoder that has it.

        `statistics` by modality are used and updated in the place of the stages' own.
        """
        after = {}
        for modality, encoder in zip(self.modalities, self._encoders(), strict=True):
            trail = trails[modality.name]
            if level < len(encoder.names):
                name = encoder.names[level]
                state, own = list(trail.values())[-1], statistics.get(modality.name)
                stage = encoder.stages[name]
                made = stage(*state) if not own else functional_call(stage, dict(own), tuple(state))
                trail = {**trail, name: made}
            after[modality.name] = trail
        return after

    def statistics(self, level: int) -> dict[str, Statistics]:
        """By modality, the running statistics of that stage, where it has some."""
        named = zip(self.modalities, self._encoders(), strict=True)
        stages = {m.name: e.stages[e.names[level]] for m, e in named if level < len(e.names)}
        found = {name: dict(stage.named_buffers()) for name, stage in stages.items()}
        return {name: buffers for name, buffers in found.items() if buffers}

    def finish(self, trails: Trails, present: Mapping[str, Tensor]) -> Features:
        """The fused feature, from trails to the ends of all encoders."""
        features = {}
        for modality, encoder in zip(self.modalities, self._encoders(), strict=True):
            told = {name: s for name, s in trails[modality.name].items() if name != INPUT}
            features[modality.name] = encoder.read(told)
        return Features(vector=self._fused(features, present), present=present)

    def pooled(self, trails: Trails) -> Tensor:
        """What all encoders have come to, averaged over positions and tokens, in one vector."""
        return torch.cat([_pooled(list(trail.values())[-1]) for trail in trails.values()], dim=1)

    def pooled_width(self, level: int) -> int:
        """The width of `pooled` behind the stage of that number."""
        shapes = (e.shape_of(e.names[min(level, len(e.names) - 1)]) for e in self._encoders())
        return sum(shape[0] if len(shape) == 3 else shape[-1] for shape in shapes)

    def keep(self, levels: Container[int], *, fusion: bool) -> None:
        """Drop the stages whose numbers are none of these and, unless asked, the fusion.

        Another path runs them in the place of this one.
        """
        for encoder in self._encoders():
            encoder.keep(levels)
        if not fusion:
            self.fusion = SideBySide()

    def stages(self, modality: str) -> list[nn.Module]:
        """The stages of a modality's encoder that this path has."""
        named = zip(self.modalities, self._encoders(), strict=True)
        return [s for m, encoder in named if m.name == modality for s in encoder.stages.values()]

    def level(self, level: int) -> list[nn.Module]:
        """The stages of that number that this path has."""
        named = ((e, e.names[level]) for e in self._encoders() if level < len(e.names))
        return [encoder.stages[name] for encoder, name in named if name in encoder.stages]

    def _encoders(self) -> list[Encoder]:
        return [encoder for encoder in self.encoders if isinstance(encoder, Encoder)]

    def _fused(self, features: Mapping[str, Features], present: Mapping[str, Tensor]) -> Tensor:
        if isinstance(self.fusion, Fusion) and self.fusion.level == "token":
            tokens = {name: tokens_of(made) for name, made in features.items()}
            masks = {name: made.token_mask for name, made in features.items()}
            fused: Tensor = self.fusion(tokens, present, masks)
            return fused
        fused = self.fusion({name: made.vector for name, made in features.items()}, present)
        return fused


def _pooled(state: State) -> Tensor:
    if state.x.dim() == 4:
        return state.x.mean((2, 3))
    return masked_mean(*state) if state.x.dim() == 3 else state.x


def tokens_of(features: Features) -> Tensor:
    """The tokens `[B, S, E]`; the vector as the only one where there are none."""
    return features.vector[:, None] if features.tokens is None else features.tokens


def visible(x: Tensor, modality: Modality, present: Tensor) -> tuple[Tensor, Tensor | None]:
    """The input with absent samples emptied, and the token mask of a text (`[B, S]`).

    Absent inputs become zeros, absent texts padding, before any encoder: what they held, garbage
    or NaN, can never matter.
    """
    text = modality.kind == "text"
    if not _all_there(present):
        there = present.reshape(-1, *([1] * (x.dim() - 1)))
        # An int: tokens of one's own kind stay whole.
        x = torch.where(there, x, modality.pad_id if text else 0)
    return x, x != modality.pad_id if text else None


def _all_there(present: Tensor) -> bool:
    """Whether nothing has to be emptied, as far as it costs nothing to ask.

    On a GPU one would wait for the answer; in a compiled graph it would be a break.
    """
    on_host = present.device.type == "cpu" and not torch.compiler.is_compiling()
    return on_host and bool(present.all())
