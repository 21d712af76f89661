"""torchvision's ResNet-18, cut into its stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from torch import nn

from mtmm.encoders.base import Encoder, Plain
from mtmm.spec import Modality

if TYPE_CHECKING:
    from torchvision.models import ResNet

Stem = Literal["imagenet", "small"]


class ResNet18(Encoder):
    """He et al. 2016 (arXiv 1512.03385), randomly initialised; the feature is 512 wide.

    `stem: imagenet` is torchvision's own (a 7×7 convolution of stride 2 and a pooling);
    `small` replaces it by one 3×3 convolution, the usual change for images of about 32 pixels.
    """

    kinds = frozenset({"audio", "image"})
    map_stage = "layer4"

    def __init__(self, modality: Modality, width: int, *, stem: Stem = "small") -> None:
        # Here, as it takes more than a second: a plan that has no ResNet does without.
        from torchvision.models import resnet18

        net = resnet18(weights=None)
        channels, height, rows = modality.shape
        scale, first = _stem(stem, channels, net)
        stages = {
            "stem": Plain(first, (64, _ceil(height, scale), _ceil(rows, scale))),
        }
        for i, layer in enumerate((net.layer1, net.layer2, net.layer3, net.layer4)):
            factor = scale * 2**i
            shape = (64 * 2**i, _ceil(height, factor), _ceil(rows, factor))
            stages[f"layer{i + 1}"] = Plain(layer, shape)
        stages["pool"] = Plain(nn.Sequential(net.avgpool, nn.Flatten()), (512,))
        super().__init__(stages)


def _stem(stem: Stem, channels: int, net: ResNet) -> tuple[int, nn.Sequential]:
    if stem == "small":
        convolution = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        return 1, nn.Sequential(convolution, net.bn1, net.relu)
    convolution = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
    return 4, nn.Sequential(convolution, net.bn1, net.relu, net.maxpool)


def _ceil(length: int, factor: int) -> int:
    return -(-length // factor)
