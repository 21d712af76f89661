from __future__ import annotations

import torch
from torchvision.models import resnet18

from mtmm.encoders.resnet18 import ResNet18
from mtmm.spec import Modality

COLOUR = Modality(name="image", kind="image", shape=(3, 32, 32))
GREY = Modality(name="image", kind="image", shape=(1, 28, 28))
TORCHVISION = 11_689_512  # as torchvision documents its resnet18, with 1000 classes
CLASSIFIER = 512 * 1000 + 1000


def _count(encoder: ResNet18) -> int:
    return sum(parameter.numel() for parameter in encoder.parameters())


def test_parameters_of_both_stems() -> None:
    assert _count(ResNet18(COLOUR, 64, stem="imagenet")) == TORCHVISION - CLASSIFIER
    stem = 64 * 3 * (49 - 9)
    assert _count(ResNet18(COLOUR, 64, stem="small")) == TORCHVISION - CLASSIFIER - stem
    assert _count(ResNet18(COLOUR, 64)) == TORCHVISION - CLASSIFIER - stem
    grey = TORCHVISION - CLASSIFIER - 64 * (3 * 49 - 9)
    assert _count(ResNet18(GREY, 64, stem="small")) == grey


def test_with_its_weights_it_is_torchvisions() -> None:
    reference = resnet18(weights=None)
    reference.fc = torch.nn.Identity()
    reference.eval()
    encoder = ResNet18(COLOUR, 64, stem="imagenet").eval()
    pairs = zip(encoder.state_dict().values(), reference.state_dict().values(), strict=True)
    for mine, theirs in pairs:
        mine.copy_(theirs)
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(encoder(x).vector, reference(x))


def test_the_small_stem_keeps_the_resolution() -> None:
    assert ResNet18(COLOUR, 64, stem="small").stages["layer4"].out_shape == (512, 4, 4)
    assert ResNet18(COLOUR, 64, stem="imagenet").stages["layer4"].out_shape == (512, 1, 1)


def test_the_maps_are_what_the_pooling_reads() -> None:
    features = ResNet18(COLOUR, 64).eval()(torch.randn(2, 3, 32, 32))
    assert features.maps is not None
    torch.testing.assert_close(features.maps.mean((2, 3)), features.vector)
