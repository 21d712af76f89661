"""A segmentation model of torchvision, kept whole, with a second task on its backbone; ../wrap.md.

The data are glyphs somewhere on a noisy canvas: which pixels are ink, and of which script is it?
"""
# ruff: noqa: D102, D103

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from mtmm import register
from mtmm.data import DATASETS
from mtmm.data.base import Dataset
from mtmm.heads.base import Head, Metric, Objective
from mtmm.heads.confusion import counted, no_counts
from mtmm.spec import Modality, ModelOutput, SharedSpace, Task

SIDE = 64


def describe(*, limit: int = 2000, seed: int = 0):
    glyphs = DATASETS["glyphs"].describe(limit=limit).select(["image"], ["script"])
    image = Modality(name="image", kind="image", shape=(1, SIDE, SIDE))
    ink = Task(name="ink", kind="pixels", classes=2)
    return replace(glyphs, modalities=(image,), tasks=(ink, *glyphs.tasks))


def build(*, limit: int = 2000, seed: int = 0):
    random = torch.Generator().manual_seed(seed)
    glyphs = DATASETS["glyphs"](limit=limit).select(["image"], ["script"])
    parts = {part: scenes(getattr(glyphs, part), random) for part in ("train", "val", "test")}
    about = describe(limit=limit, seed=seed)
    return replace(glyphs, modalities=about.modalities, tasks=about.tasks, **parts)


def scenes(split, random):
    image = 0.4 * torch.rand(len(split), 1, SIDE, SIDE, generator=random)
    ink = torch.zeros(len(split), SIDE, SIDE, dtype=torch.int64)
    places = torch.randint(0, SIDE - 28, (len(split), 2), generator=random).tolist()
    for i, (top, left) in enumerate(places):
        glyph, window = split.inputs["image"][i, 0], (slice(top, top + 28), slice(left, left + 28))
        image[i, 0][window] += glyph
        ink[i][window] = (glyph > 0.5).long()
    everywhere = torch.ones(len(split), dtype=torch.bool)
    return replace(
        split,
        inputs={"image": image},
        targets={"ink": ink, **split.targets},
        labelled={"ink": everywhere, **split.labelled},
    )


register("dataset", "scenes")(Dataset(build, describe))


class Pixels(Objective):
    """Cross-entropy of every pixel; the metric is the mean intersection over union of classes."""

    metrics = {"miou": Metric(higher_is_better=True, ideal=1.0)}  # noqa: RUF012
    primary = "miou"

    def loss(self, output, target, labelled):
        each = F.cross_entropy(output, target, reduction="none").mean((1, 2))
        return (each * labelled).sum() / labelled.sum().clamp(min=1)

    def sums(self, device):
        loss = torch.zeros((), dtype=torch.float64, device=device)
        return {"confusion": no_counts(self.task.classes, device), "loss": loss, "n": loss}

    def update(self, sums, output, target, labelled):
        known = labelled[:, None, None].expand_as(target).flatten()
        flat = (output.argmax(1).flatten(), target.flatten(), known)
        count = labelled.sum()
        return {
            "confusion": counted(sums["confusion"], *flat),
            "loss": sums["loss"] + count * self.loss(output, target, labelled),
            "n": sums["n"] + count,
        }

    def measure(self, sums):
        confusion = sums["confusion"].double()
        both = confusion.diagonal()
        either = confusion.sum(0) + confusion.sum(1) - both
        return {"miou": float((both / either).mean()), "loss": float(sums["loss"] / sums["n"])}

    def constant(self, target, labelled):
        most = torch.bincount(target[labelled].flatten(), minlength=self.task.classes).argmax()
        logits = F.one_hot(most, self.task.classes).float()
        return logits[:, None, None].expand(-1, *target.shape[1:])


@register("head", "pixels")
class PixelHead(Head):
    """What judges tasks of kind `pixels`; their outputs come from a whole model."""

    objective = Pixels

    def __init__(self, dim, task):
        super().__init__()

    def forward(self, features):
        raise ValueError("tasks of kind 'pixels' need a model of your own: `model: {name: ...}`")


@register("model", "lraspp")
class WithScript(nn.Module):
    """LR-ASPP on a MobileNetV3 as torchvision has it, and a linear layer for the script."""

    def __init__(self, bundle, *, weights: str | None = None):
        super().__init__()
        self.net = lraspp_mobilenet_v3_large(
            weights=None, weights_backbone=weights, num_classes=bundle.task("ink").classes
        )
        self.script = nn.Linear(960, bundle.task("script").classes)
        for module in self.net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.1  # torchvision's 0.01 is for long trainings

    def forward(self, inputs, present):
        x = inputs["image"].expand(-1, 3, -1, -1)
        maps = self.net.backbone(x)
        ink = F.interpolate(self.net.classifier(maps), x.shape[2:], mode="bilinear")
        outputs = {"ink": ink, "script": self.script(maps["high"].mean((2, 3)))}
        return ModelOutput(outputs=outputs)

    def shared_space(self):
        return SharedSpace(theta={"backbone": tuple(self.net.backbone.parameters())})

    def parts(self):
        heads = {"heads.ink": self.net.classifier, "heads.script": self.script}
        return {"backbone": self.net.backbone, **heads}
