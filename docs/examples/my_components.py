"""One component of each kind, to copy from; ../plugins.md says what the parts are."""
# ruff: noqa: D102

import torch
from my_data import build, describe  # modules beside this file
from my_numbers import SquaredError
from torch import nn

from mtmm import register
from mtmm.data.base import Dataset
from mtmm.encoders.base import Encoder, Plain
from mtmm.fusion.base import Fusion, linear
from mtmm.heads.base import Head
from mtmm.sharing.base import Sharing
from mtmm.spec import ModelOutput, SharedSpace
from mtmm.weighting.base import Weighting

register("dataset", "waves")(Dataset(build, describe))


@register("encoder", "two_layers")
class TwoLayers(Encoder):
    """Two layers."""

    kinds = frozenset({"vector"})

    def __init__(self, modality, width, *, hidden: int = 32):
        first = nn.Sequential(nn.Linear(modality.shape[0], hidden), nn.ReLU())
        second = nn.Linear(hidden, width)
        super().__init__({"first": Plain(first, (hidden,)), "second": Plain(second, (width,))})


@register("fusion", "times")
class Product(Fusion):
    """The features' projections, multiplied."""

    def __init__(self, dims, out_dim):
        super().__init__(dims, out_dim)
        self.projections = nn.ModuleList(linear(dim, out_dim) for dim in self.dims.values())

    def forward(self, features, present=None):
        inputs = zip(self.projections, self.masked(features, present), strict=True)
        return torch.stack([projection(x) for projection, x in inputs]).prod(dim=0)


@register("sharing", "first_alone")
class FirstAlone(Sharing):
    """The first task has a path of its own; the others share one."""

    def __init__(self, make_path, tasks):
        super().__init__(make_path, tasks)
        self.alone = make_path(tasks[:1])
        self.shared = make_path(tasks[1:]) if tasks[1:] else self.alone

    def forward(self, inputs, present):
        alone, shared = self.alone(inputs, present), self.shared(inputs, present)
        return {**dict.fromkeys(self.tasks, shared), self.tasks[0]: alone}, SharedSpace()


@register("weighting", "inverse")
class Inverse(Weighting):
    """Every weighted loss is 1: only its direction counts."""

    def step(self, state, losses):
        return 1 / losses.clamp(min=1e-6), state


@register("head", "number")
class NumberHead(Head):
    """One number, for tasks of kind `number`."""

    objective = SquaredError

    def __init__(self, dim, task):
        super().__init__()
        self.linear = nn.Linear(dim, 1)

    def forward(self, features):
        return self.linear(features.vector).squeeze(1)


@register("model", "flat")
class Flat(nn.Module):
    """A whole model: one layer from all inputs to all outputs."""

    def __init__(self, bundle, *, dropout: float = 0.0):
        super().__init__()
        width = sum(modality.shape[0] for modality in bundle.modalities)
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict({t.name: nn.Linear(width, t.classes or 1) for t in bundle.tasks})

    def forward(self, inputs, present):
        x = self.dropout(torch.cat(list(inputs.values()), dim=1))
        return ModelOutput(outputs={name: head(x).squeeze(1) for name, head in self.heads.items()})
