"""One component of each kind in fifty lines of code: small changes of what is there."""

from dataclasses import replace

import torch.nn.functional as F
from torch import nn

from mtmm import register
from mtmm.data import DATASETS
from mtmm.data.base import Dataset
from mtmm.encoders.lenet import LeNet
from mtmm.fusion.sum import Sum
from mtmm.heads.classification import Classification, ClassificationHead
from mtmm.sharing.hard import Hard
from mtmm.spec import ModelOutput
from mtmm.weighting.base import Weighting


def describe(*, limit: int = 300):
    glyphs = DATASETS["glyphs"].describe(limit=limit)
    return replace(glyphs, tasks=tuple(replace(task, kind="smooth") for task in glyphs.tasks))


def build(*, limit: int = 300):
    return replace(DATASETS["glyphs"](limit=limit), tasks=describe(limit=limit).tasks)


register("dataset", "smooth_glyphs")(Dataset(build, describe))


@register("head", "smooth")
class SmoothHead(ClassificationHead):
    class objective(Classification):  # noqa: N801
        def loss(self, output, target, labelled):
            return F.cross_entropy(output[labelled], target[labelled], label_smoothing=0.1)


@register("encoder", "tiny")
class Tiny(LeNet):
    def __init__(self, modality, width, *, channels: int = 2):
        super().__init__(modality, width, channels=channels)


@register("fusion", "half")
class Half(Sum):
    def forward(self, features, present=None):
        return super().forward(features, present) / 2


@register("sharing", "frozen")
class Frozen(Hard):
    def __init__(self, make_path, tasks):
        super().__init__(make_path, tasks)
        self.path.fusion.requires_grad_(False)


@register("weighting", "inverse")
class Inverse(Weighting):
    def step(self, state, losses):
        return 1 / losses.clamp(min=1e-6), state


@register("model", "mean")
class Mean(nn.Module):
    def __init__(self, bundle, *, bias: bool = True):
        super().__init__()
        self.heads = nn.ModuleDict({t.name: nn.Linear(28, t.classes, bias) for t in bundle.tasks})

    def forward(self, inputs, present):
        x = inputs["image"].mean((1, 2))
        return ModelOutput(outputs={name: head(x) for name, head in self.heads.items()})
