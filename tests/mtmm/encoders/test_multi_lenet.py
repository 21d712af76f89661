from __future__ import annotations

import torch
import torch.nn.functional as F

from mtmm.encoders.multi_lenet import MultiLeNet
from mtmm.spec import Modality

IMAGE = Modality(name="image", kind="image", shape=(1, 28, 28))


def test_parameters_of_the_benchmark() -> None:
    encoder = MultiLeNet(IMAGE, 50)
    assert sum(p.numel() for p in encoder.parameters()) == 260 + 5_020 + 16_050 == 21_330
    assert encoder.dim == 50


def test_it_is_what_one_would_write_by_hand() -> None:
    torch.manual_seed(0)
    encoder = MultiLeNet(IMAGE, 50).eval()
    x = torch.randn(3, 1, 28, 28)
    conv1, b1, conv2, b2, fc, b3 = encoder.parameters()
    h = F.relu(F.max_pool2d(F.conv2d(x, conv1, b1), 2))
    h = F.relu(F.max_pool2d(F.conv2d(h, conv2, b2), 2))
    assert torch.allclose(encoder(x).vector, F.relu(F.linear(h.flatten(1), fc, b3)), atol=1e-6)


def test_training_masks_channels_for_the_whole_batch_and_does_not_rescale() -> None:
    torch.manual_seed(0)
    encoder = MultiLeNet(IMAGE, 50)
    x = torch.randn(4, 1, 28, 28).abs()
    whole, masked = encoder.eval()(x).maps, encoder.train()(x).maps
    dropped = (masked == 0).all(dim=(0, 2, 3))
    assert 0 < dropped.sum() < 20
    assert torch.equal(masked[:, ~dropped], whole[:, ~dropped])
